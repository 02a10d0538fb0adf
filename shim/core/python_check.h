// SPDX-License-Identifier: Apache-2.0
// Whether an interpreter is what the agent takes it for.
#pragma once

#include <cstdint>

#include "proto/siprof/python.h"
#include "shim/base/attrs.h"

namespace siprof::shim {

// Compares the layout of code objects with what their type says of itself: its size, and where its members
// are. kNone: it is right. Context: signal handler, a hook; the fault guard is in force.
SIPROF_SIGNAL_SAFE PythonRefusal check_code_type(const PythonLayout& layout, std::uint64_t code_type);

}  // namespace siprof::shim
