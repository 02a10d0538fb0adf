// SPDX-License-Identifier: Apache-2.0
// The lock probe: what the wrappers of shim/wrap_locks.cpp and shim/wrap_waits.cpp do on their slow way.
// A wait that is chosen is written when it is over, with the waiter's stack; the thread that unlocks writes
// its own stack if somebody who will be chosen waits for it (lock_flags.h). The agent brings the two
// together.
//
// Context of all: any thread, also in signal handlers of the app, and in the child of a vfork. errno is kept.
#pragma once

#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/core/block_sampler.h"
#include "shim/core/hook.h"
#include "shim/core/stopwatch.h"
#include "shim/probe/lock_flags.h"

namespace siprof::shim {

// Whether waits are timed: this kind asks for it, or the wall kind.
__attribute__((always_inline)) inline bool lock_is_on() {
  constexpr std::uint32_t kTimed = kind_bit(EventKind::kLock) | kind_bit(EventKind::kWall);
  return SIPROF_LIKELY((g_kinds.load(std::memory_order_relaxed) & kTimed) != 0);
}

// Trivial: an exception or a cancellation may pass by while one lives.
struct LockWait {
  std::uint64_t begin_ns;
  BlockDraw draw;
  std::uint64_t lock;
  std::uint32_t owner;  // thread id, 0: unknown
  LockType type;
  bool is_flagged;
};

// A wait for a lock that a thread holds: whoever unlocks it is told.
// It began `ago_ns` ago.
LockWait begin_lock_wait(LockType type, const void* lock, std::int32_t owner, std::uint64_t ago_ns);
// One that is over before whoever unlocks could be told of it; `owner` had the lock when it began.
void note_short_wait(LockType type, const void* lock, std::int32_t owner, std::uint64_t blocked_ns);
// Any other wait; `object` is what is waited for.
LockWait begin_wait(LockType type, const void* object);
void end_lock_wait(const LockWait& wait);

struct LockUnlock {
  std::uint64_t lock;
  std::uint64_t now_ns;  // 0: nobody wants the stack
};
// Around an unlock for which may_be_waited_for(); `caller`: where the app called it. The second one takes the
// stack: the lock is free by then.
LockUnlock begin_unlock(const void* lock, const void* caller);
void end_unlock(const LockUnlock& unlock);

}  // namespace siprof::shim
