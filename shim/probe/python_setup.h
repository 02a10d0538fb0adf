// SPDX-License-Identifier: Apache-2.0
// What runs inside the interpreter: a table of features, each with a kind that wants it and an option that
// switches it off. All of it is set up in one pending call and forgotten when the interpreter ends; a
// process that starts it again has it set up again.
#pragma once

#include <cstdint>

namespace siprof::shim {

// Bits of those that are wanted and not set up, nor asked for. Context: any thread.
std::uint32_t missing_python_features();

// Has the interpreter set them up, soon. False: it can't be asked now. Context: a thread of the
// interpreter's, with its lock or without.
bool queue_python_setup();

}  // namespace siprof::shim
