// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/lock_flags.h"

namespace siprof::shim {
namespace {

using Word = LockFlagWord;

// So long after its deadline a word may be of a waiter that never came back (a handler jumped out of its
// wait): another lock takes it over.
constexpr std::int64_t kForgottenNs = 10'000'000'000;

}  // namespace

constinit LockFlags g_lock_flags{};

bool add_waiter(std::uint64_t lock, std::uint64_t now_ns, std::uint64_t deadline_ns) {
  const LockPlace place = lock_place(lock);
  std::atomic<std::uint64_t>& cell = g_lock_flags.words[place.index];
  std::uint64_t word = cell.load(std::memory_order_relaxed);
  for (;;) {
    std::uint64_t next = Word::make(place.tag, 1, deadline_ns);
    if (word != 0 && Word::tag(word) == place.tag) {
      if (Word::waiters(word) == Word::kMostWaiters) return false;
      next = word + Word::kWaiter;
      if (Word::overdue_ns(word, deadline_ns) < 0) next = Word::with_deadline(next, deadline_ns);
    } else if (word != 0 && Word::overdue_ns(word, now_ns) < kForgottenNs) {
      return false;
    }
    if (cell.compare_exchange_weak(word, next, std::memory_order_relaxed)) return true;
  }
}

void remove_waiter(std::uint64_t lock) {
  const LockPlace place = lock_place(lock);
  std::atomic<std::uint64_t>& cell = g_lock_flags.words[place.index];
  std::uint64_t word = cell.load(std::memory_order_relaxed);
  while (word != 0 && Word::tag(word) == place.tag) {
    const std::uint64_t next = Word::waiters(word) <= 1 ? 0 : word - Word::kWaiter;
    if (cell.compare_exchange_weak(word, next, std::memory_order_relaxed)) return;
  }
}

bool note_release(std::uint64_t lock, const LockRelease& release, std::uint64_t early_ns,
                  std::uint64_t again_ns) {
  const LockPlace place = lock_place(lock);
  std::atomic<std::uint64_t>& cell = g_lock_flags.words[place.index];
  std::uint64_t word = cell.load(std::memory_order_relaxed);
  if (word == 0 || Word::tag(word) != place.tag) return false;
  auto& last = g_lock_flags.releases[place.index];
  last.time_ns.store(release.time_ns, std::memory_order_relaxed);
  last.code.store(release.code, std::memory_order_relaxed);
  last.tid.store(release.tid, std::memory_order_relaxed);
  while (word != 0 && Word::tag(word) == place.tag) {
    if (Word::overdue_ns(word, release.time_ns + early_ns) < 0) return false;
    if (cell.compare_exchange_weak(word, Word::with_deadline(word, again_ns), std::memory_order_relaxed))
      return true;
  }
  return false;
}

LockRelease last_release(std::uint64_t lock) {
  const auto& last = g_lock_flags.releases[lock_place(lock).index];
  return {last.time_ns.load(std::memory_order_relaxed), last.code.load(std::memory_order_relaxed),
          last.tid.load(std::memory_order_relaxed)};
}

void forget_waiters() {
  // Not written where nothing is to be forgotten: the pages are shared with the parent.
  for (auto& word : g_lock_flags.words) {
    if (word.load(std::memory_order_relaxed) != 0) word.store(0, std::memory_order_relaxed);
  }
}

}  // namespace siprof::shim
