// SPDX-License-Identifier: Apache-2.0
// What a thread needs while it looks at an interpreter's structures and has no room for on its stack. Also
// says that somebody is looking: code of the interpreter that is called there may not be unmapped meanwhile.
#pragma once

#include <atomic>
#include <cstdint>

#include "proto/siprof/python.h"
#include "shim/base/attrs.h"
#include "shim/core/thread.h"

namespace siprof::shim {

// A signal that was sent while the thread had its mask opened for a walk, though the app blocks it.
struct HeldSignal {
  std::int32_t signal;  // 0: none
  std::int32_t code;
  std::int32_t pid;
  std::int32_t uid;
  std::uint64_t value;
};

struct alignas(64) GuardedSlot {
  // Thread id | serial << 32, 0: free. Sequentially consistent: whoever has one looks at the number of
  // unmappings behind that, and whoever unmaps looks at the slots behind its own change of the number.
  std::atomic<std::uint64_t> owner;
  // Of the owner's thread and its handlers alone.
  bool mask_is_open;
  HeldSignal held;
  std::uint64_t words[kMaxPythonFrames];
};
inline constexpr std::uint32_t kGuardedSlots = 64;

// Before the first take_slot(). False: no memory. Context: signal handler, a hook; under the change lock.
SIPROF_SIGNAL_SAFE bool map_slots();

// Null: all are taken. Not nested in a thread: one that the app jumped out of before is taken again.
// Context: signal handler, a hook.
SIPROF_SIGNAL_SAFE GuardedSlot* take_slot(ThreadState& thread);
SIPROF_SIGNAL_SAFE void give_back_slot(ThreadState& thread, GuardedSlot* slot);
// The thread's, null: it has none. Context: signal handler, any thread.
SIPROF_SIGNAL_SAFE GuardedSlot* slot_of(const ThreadState& thread);
// What a jump out of the shim's own code leaves behind. Context: any thread.
void drop_slot(ThreadState& thread);

// Until those are done that were at it when this was called; 50 ms at most, which says that it gave up.
// Context: any thread, not in a handler.
bool wait_for_slots();

// They were the parent's threads. Context: child of a fork.
void forget_slots();

}  // namespace siprof::shim
