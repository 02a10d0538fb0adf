// SPDX-License-Identifier: Apache-2.0
// The io probe: calls that may block. Each is timed and counted exactly; stacks are taken of a sample of them
// by blocked time (core/block_sampler.h). What the values of a sample are: proto/siprof/io_calls.h.
//
//   const Stopwatch watch = begin_call();
//   const ssize_t result = real::read(fd, data, bytes);
//   note_io(IoCall::k_read, fd, watch, result);
//
// Context: any thread, also in handlers of the app and in the child of a vfork. Keeps errno.
#pragma once

#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/core/block_sampler.h"
#include "shim/core/io_bank.h"
#include "shim/core/process.h"
#include "shim/core/stopwatch.h"
#include "shim/core/thread.h"
#include "shim/probe/wall.h"

namespace siprof::shim {

inline constexpr int kNoDescriptor = -1;

// What a fast look at a wait needs of the interval in force: how many of ThreadState::block_left's units a
// nanosecond is, times 2^32. Relaxed; `interval_ns` is stored last and loaded first.
struct BlockScale {
  std::atomic<std::uint64_t> interval_ns;
  std::atomic<std::uint64_t> units;
};
extern BlockScale g_block_scale;

// Of calls that may block: whether they are timed at all.
__attribute__((always_inline)) inline bool calls_are_timed() {
  constexpr std::uint32_t kTimed = kind_bit(EventKind::kIo) | kind_bit(EventKind::kWall);
  return (g_kinds.load(std::memory_order_relaxed) & kTimed) != 0;
}

__attribute__((always_inline)) inline Stopwatch begin_call() {
  if (wall_is_on()) begin_wall_wait();
  return start_stopwatch();
}

// The rest of note_io: draws, learns the rates, takes the stack.
void settle_io(IoCall call, int fd, std::uint64_t waited_ns, std::uint64_t bytes);

// After a call on `fd` (or kNoDescriptor) that moved so many bytes, below 0: it failed.
__attribute__((always_inline)) inline void note_io(IoCall call, int fd, const Stopwatch& watch, long bytes) {
  const std::uint64_t ns = elapsed_ns(watch);
  if (wall_is_on()) end_wall_wait(ns);
  if (SIPROF_UNLIKELY(!kind_is_on(EventKind::kIo))) return;
  const std::uint64_t moved = bytes > 0 ? static_cast<std::uint64_t>(bytes) : 0;
  std::uint64_t session = 0;
  SharedHeader* header = attached_header(&session);
  ThreadState& thread = t_thread;  // not kept over the call: a fiber may have moved on
  add_io(header, session, thread, call, {1, moved, ns});
  if (SIPROF_LIKELY(header != nullptr)) {
    follow_tick_scale(header);
    const std::uint64_t interval_ns = g_block_scale.interval_ns.load(std::memory_order_relaxed);
    if (SIPROF_LIKELY(interval_ns == header->block_interval_ns.load(std::memory_order_relaxed) &&
                      ns < interval_ns)) {
      const auto units =
          static_cast<std::int64_t>(ns * g_block_scale.units.load(std::memory_order_relaxed) >> 32);
      if (SIPROF_LIKELY(thread.block_left > units)) {
        thread.block_left -= units;
        return;
      }
    }
  }
  settle_io(call, fd, ns, moved);
}

}  // namespace siprof::shim
