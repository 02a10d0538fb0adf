// SPDX-License-Identifier: Apache-2.0
// The walker again, compiled with a thread sanitizer's hooks around its loads and stores. The hooks are ours,
// and note the cache lines: what a cold walk has to wait for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>

#include "shim/core/stack_walk.h"

namespace siprof::shim {

// walk_stack() under the name that the build gives it.
WalkResult counted_walk_stack(const CodeView& view, WalkRegisters registers, StackBounds current,
                              StackBounds own, std::uint64_t* addresses, std::uint32_t most);

}  // namespace siprof::shim

namespace siprof::bench {

// Numbers of the lines (address / 64) touched since the last call.
std::set<std::uint64_t> take_touched_lines();

}  // namespace siprof::bench
