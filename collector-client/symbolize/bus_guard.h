// SPDX-License-Identifier: Apache-2.0
// Keeps the agent alive when a file that it has mapped is truncated by its owner.
// main() installs it once, before the first ElfImage.
#pragma once

#include <cstdint>

namespace siprof::client {

// From now on a page of a file mapping that lies beyond the file's end reads as
// zeros (a private page takes its place). Replaces the process's SIGBUS handler; any other
// SIGBUS ends the process as before.
void install_bus_guard();

std::uint64_t bus_guard_pages();  // replaced since the start

}  // namespace siprof::client
