// SPDX-License-Identifier: Apache-2.0
// The wall probe: threads' time, whether they run or wait. No thread is ever interrupted in a wait: those
// that run have their ticks, and the calls that the io and lock probes time tell of a wait when it is over.
//
//   begin_wall_wait();
//   …                      // the call
//   end_wall_wait(ns);
//
// Waits are chosen as in core/block_sampler.h, with the period of ticks for the interval. Ticks in between
// are marked: their time is in the wait's (is_in_wait).
//
// Context: any thread, also in handlers of the app and in the child of a vfork. Keeps errno.
#pragma once

#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/core/hook.h"
#include "shim/core/thread.h"

namespace siprof::shim {

__attribute__((always_inline)) inline bool wall_is_on() {
  return SIPROF_UNLIKELY(kind_is_on(EventKind::kWall));
}

// `frame`: of the wrapper, by default.
__attribute__((always_inline)) inline void begin_wall_wait(std::uint64_t frame = stack_here()) {
  t_thread.waiting_frame = static_cast<std::uint32_t>(frame) | 1;
}

// Whether code at `sp` was called by the wrapper. A jump out of it leaves its mark behind until the next
// wait: not for what runs on a higher frame. Context: signal handler.
__attribute__((always_inline)) inline bool is_in_wait(const ThreadState& thread, std::uint64_t sp) {
  constexpr std::uint32_t kNear = 1 << 20;
  return thread.waiting_frame != 0 && thread.waiting_frame - static_cast<std::uint32_t>(sp) < kNear;
}

// After a call that turned out not to have waited at all.
__attribute__((always_inline)) inline void forget_wall_wait() {
  if (wall_is_on()) t_thread.waiting_frame = 0;
}

// Not a tail call: the caller's frame belongs to the stack.
void end_wall_wait(std::uint64_t waited_ns);

}  // namespace siprof::shim
