// SPDX-License-Identifier: Apache-2.0
// Tells a thread that unlocks whether somebody waits who will be sampled, and so wants to know who held the
// lock: a table of words, hashed by the lock's address. On its fast way unlock compares one with 0.
//
// A word holds who waits for a lock and from when on the unlocker's stack is wanted: the earliest time at
// which one of the waits will be chosen. Locks that fall on a word in use go without. All is relaxed: a
// waiter that is missed by a hair didn't wait.
//
// Context: any thread, also in signal handlers.
#pragma once

#include <atomic>
#include <cstdint>

#include "shim/base/attrs.h"

namespace siprof::shim {

inline constexpr std::uint32_t kLockFlagCount = 512;

// An unlock while somebody waited.
struct LockRelease {
  std::uint64_t time_ns;
  std::uint64_t code;  // where it was called
  std::uint32_t tid;
};

struct LockFlags {
  std::atomic<std::uint64_t> words[kLockFlagCount];  // 0: nobody waits
  // The last one of each. Who has the lock now reads what the one before has written: nobody else writes. (Or
  // another lock of the same word, or other readers of a read-write lock: then one of them is named.)
  struct {
    std::atomic<std::uint64_t> time_ns;
    std::atomic<std::uint64_t> code;
    std::atomic<std::uint32_t> tid;
  } releases[kLockFlagCount];
};
extern LockFlags g_lock_flags;

// tag of the lock (12 bits) | how many wait (12) | deadline (40), in units of 1024 ns: wraps after two weeks,
// only differences count.
struct LockFlagWord {
  static constexpr std::uint64_t kDeadlineMask = (std::uint64_t{1} << 40) - 1;
  static constexpr std::uint64_t kWaiter = std::uint64_t{1} << 40;
  static constexpr std::uint64_t kMostWaiters = 0xfff;

  static std::uint64_t make(std::uint64_t tag, std::uint64_t waiters, std::uint64_t deadline_ns) {
    return tag << 52 | waiters << 40 | (deadline_ns >> 10 & kDeadlineMask);
  }
  static std::uint64_t tag(std::uint64_t word) { return word >> 52; }
  static std::uint64_t waiters(std::uint64_t word) { return word >> 40 & kMostWaiters; }
  // From its deadline to that time; below 0: it is to come.
  static std::int64_t overdue_ns(std::uint64_t word, std::uint64_t now_ns) {
    return static_cast<std::int64_t>(((now_ns >> 10) - word) << 24) >> 14;
  }
  static std::uint64_t with_deadline(std::uint64_t word, std::uint64_t deadline_ns) {
    return (word & ~kDeadlineMask) | (deadline_ns >> 10 & kDeadlineMask);
  }
};

struct LockPlace {
  std::uint32_t index;
  std::uint32_t tag;
};
__attribute__((always_inline)) inline LockPlace lock_place(std::uint64_t lock) {
  const std::uint64_t hash = lock * 0x9e3779b97f4a7c15;
  return {static_cast<std::uint32_t>(hash >> 55), static_cast<std::uint32_t>(hash >> 43 & 0xfff)};
}

// Somebody waits for a lock of this word: before it is unlocked see lock_release().
__attribute__((always_inline)) inline bool may_be_waited_for(const void* lock) {
  const LockPlace place = lock_place(reinterpret_cast<std::uint64_t>(lock));
  return SIPROF_UNLIKELY(g_lock_flags.words[place.index].load(std::memory_order_relaxed) != 0);
}

// A wait that will be chosen from `deadline_ns` on. False: it can't be noted, there is nothing to remove.
bool add_waiter(std::uint64_t lock, std::uint64_t now_ns, std::uint64_t deadline_ns);
void remove_waiter(std::uint64_t lock);

// Notes the unlock for who waits. True: the whole stack is wanted; not again before `again_ns`. `early_ns`:
// from so long before the deadline on, since a waiter wakes up later than the lock is free.
bool note_release(std::uint64_t lock, const LockRelease& release, std::uint64_t early_ns,
                  std::uint64_t again_ns);
LockRelease last_release(std::uint64_t lock);

// In a forked child, where nobody waits.
void forget_waiters();

}  // namespace siprof::shim
