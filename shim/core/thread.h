// SPDX-License-Identifier: Apache-2.0
// What the shim keeps for each thread: initial-exec storage, so that a handler
// reaches it without a call. Zero is a valid state: a thread we never met.
#pragma once

#include <atomic>
#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/base/attrs.h"
#include "shim/base/sys.h"

namespace siprof::shim {

struct KnownMask {
  sys::SignalSet kernel;
  sys::SignalSet view;
};
inline constexpr std::uint32_t kKnownMasks = 7;

struct ThreadState {
  std::int32_t tid;             // 0: not met yet
  std::uint32_t serial;         // unique in the process, so that a reused tid is another thread
  std::uint64_t session;        // the attachment that `chunk` belongs to
  std::uint32_t chunk;          // index + 1 of the chunk being filled, 0: none; checked against its owner
  std::uint32_t last_sequence;  // of the chunks claimed so far, over all attachments
  std::uint32_t searched;       // chunks looked at for a free one
  std::uint32_t next_sample;
  std::uint32_t control_generation;
  std::int32_t wall_left;  // probe/wall.h: as block_left below
  // The stack, [low, high); 0, 0: unknown, then it is only read by the kernel.
  std::uint64_t stack_low;
  std::uint64_t stack_high;
  std::uint64_t readable_low;  // of it; down to here its pages were found readable; 0: not looked yet
  // Our signal's bit if the app believes that it has blocked it. A bit of another
  // signal: ticks have left that one, and the kernel doesn't block it yet.
  sys::SignalSet blocked_view;
  // What the view was with each of the kernel's masks lately: a handler's return or a
  // jump brings back an old mask without asking us. The first is the thread's start.
  KnownMask known_masks[kKnownMasks];
  std::int32_t vforked_pid;  // of the last child that changed its mask or actions between vfork and exec
  std::uint32_t timer_slot;  // index + 1 into the timer table, 0: none
  std::uint32_t hz;          // rate its timer runs at, 0: not known yet
  std::uint8_t known_mask_count;
  std::uint8_t next_known_mask;
  bool idle;             // the kind is off: ticks only ask whether it is on again
  bool end_is_seen : 1;  // what it holds is given back when it ends, or it is the main thread
  bool in_message : 1;   // probe/error_message.h: the program's own code runs, for us
  bool is_guarded : 1;   // guarded_slot.h: it has one
  bool guard_seen : 1;   // fault_guard.h: it was sampled since the guard began
  // Inside the shim: where its stack was then, 0: not inside. Neither ticks nor events are sampled there. See
  // is_busy().
  std::uint64_t busy_sp;
  std::uint32_t owed_ticks;  // that came there: the next one stands for them too
  std::uint32_t io_bank;     // io_bank.h; 0: none
  // Bytes allocated until the next sample; below 0: draw anew. And intervals of blocked time, in kBlockUnits
  // (block_sampler.h); 0: draw anew.
  std::int64_t heap_left;
  std::int64_t block_left;
  std::uint64_t heap_interval;  // that heap_left was drawn with; 0: draw anew
  std::uint64_t random;         // sampler.h; 0: not seeded
  // interruption.h: of the system call that our tick has cut short, its low half.
  std::uint32_t interrupted_sp;
  // probe/wall.h: of the frame that made the call that the thread is in, its low half | 1; 0: none.
  std::uint32_t waiting_frame;
};
static_assert(sizeof(ThreadState) <= 256);

// For ThreadState::busy_sp of a thread that is ending.
inline constexpr std::uint64_t kBusyForGood = ~std::uint64_t{0};

// Whether the thread is in the shim's own code at `sp`. A jump out of it (the app's signal handler called
// siglongjmp) leaves busy_sp behind: the stack has shrunk past it, or is another one than the hook's.
// Context: signal handler, any thread.
__attribute__((always_inline)) inline bool is_busy(const ThreadState& thread, std::uint64_t sp) {
  const std::uint64_t busy = thread.busy_sp;
  if (SIPROF_LIKELY(busy == 0)) return false;
  if (busy == kBusyForGood) return true;
  const auto is_own = [&thread](std::uint64_t at) {
    return at >= thread.stack_low && at < thread.stack_high;
  };
  constexpr std::uint64_t kSameStack = 8 * 1024 * 1024;  // where no bounds are known
  if (is_own(sp) != is_own(busy)) return !is_own(sp);
  return sp <= busy || (!is_own(sp) && sp - busy >= kSameStack);
}

// Where the calling function's frame is.
__attribute__((always_inline)) inline std::uint64_t stack_here() {
  return reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
}

extern SIPROF_TLS ThreadState t_thread;

// The storage of the running thread, computed anew at each call: a fiber may
// resume on another thread, where an address kept from before is wrong.
__attribute__((noinline)) ThreadState& this_thread();

// Fills in tid, serial and stack of the calling thread. `stack_bytes` 0: unknown.
// Context: any thread, before its timer is armed.
void meet_main_thread(const void* argument_vector);
void meet_thread(std::uint64_t stack_bytes);
// The same from a first tick, when nothing is known of the stack.
SIPROF_SIGNAL_SAFE void meet_unknown_thread(ThreadState& thread, std::int32_t tid);

}  // namespace siprof::shim
