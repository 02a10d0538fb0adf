// SPDX-License-Identifier: Apache-2.0
// What entry.cpp defines in libsiprof.so, without its constructor: a test program is
// not profiled.
#include "shim/core/process.h"

namespace siprof::shim {

constinit Process g_process{};
constinit std::atomic<std::uint32_t> g_kinds{0};

}  // namespace siprof::shim
