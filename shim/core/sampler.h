// SPDX-License-Identifier: Apache-2.0
// Which events get a stack: a Poisson process over what they measure (bytes, nanoseconds). An event of size s
// is chosen with the probability 1 - exp(-s / mean), whatever came before it, and stands for the inverse of
// that many of its size; the agent computes it, from the mean that the sample names.
#pragma once

#include <cstdint>

#include "shim/base/attrs.h"
#include "shim/core/thread.h"

namespace siprof::shim {

// Distance to the next sample, exponentially distributed about `mean` (1 or more), from 0 on. A mean of 1 or
// less takes everything: 0. Context: signal handler, any thread.
SIPROF_SIGNAL_SAFE std::int64_t draw_distance(ThreadState& thread, std::uint64_t mean);

// Rates have changed: what was drawn at the old ones is void.
__attribute__((always_inline)) inline void draw_anew(ThreadState& thread) {
  thread.heap_left = thread.block_left = thread.wall_left = 0;
  thread.heap_interval = 0;
}

// No sample until draw_anew(): the kind is off.
inline constexpr std::int64_t kNever = std::int64_t{1} << 62;

}  // namespace siprof::shim
