// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/lock.h"

#include <atomic>

#include "shim/core/stopwatch.h"
#include "shim/probe/wall.h"

namespace siprof::shim {
namespace {

// How much later than a lock is free those who wait for it run: nearly the longest of late. Relaxed, a hint.
constinit std::atomic<std::uint64_t> g_wake_ns{50'000};
constexpr std::uint64_t kMostWakeNs = 1'000'000;

void note_wake(std::uint64_t woken_ns) {
  if (woken_ns > kMostWakeNs) woken_ns = kMostWakeNs;
  const std::uint64_t known = g_wake_ns.load(std::memory_order_relaxed);
  g_wake_ns.store(woken_ns > known ? woken_ns : known - (known - woken_ns) / 64, std::memory_order_relaxed);
}

// How the wait ended; time 0: not by an unlock that was seen.
LockRelease release_during(const LockWait& wait, std::uint64_t now_ns) {
  if (!wait.is_flagged) return {};
  const LockRelease release = last_release(wait.lock);
  return release.time_ns >= wait.begin_ns && release.time_ns <= now_ns ? release : LockRelease{};
}

// Between what a function's frame is known by and the frame of its caller, which is where the wait will be.
constexpr std::uint64_t kFrameHead = 16;

// More would be stacks that nobody asks for, many for each sample.
std::uint64_t early_ns(std::uint64_t interval_ns) {
  const std::uint64_t wake_ns = g_wake_ns.load(std::memory_order_relaxed);
  return wake_ns < interval_ns / 8 ? wake_ns : interval_ns / 8;
}

}  // namespace

LockWait begin_lock_wait(LockType type, const void* lock, std::int32_t owner, std::uint64_t ago_ns) {
  LockWait wait = begin_wait(type, lock);
  wait.begin_ns -= ago_ns;
  wait.owner = static_cast<std::uint32_t>(owner);
  wait.is_flagged = add_waiter(wait.lock, wait.begin_ns, wait.begin_ns + wait.draw.deadline_ns);
  return wait;
}

LockWait begin_wait(LockType type, const void* object) {
  ThreadState& thread = this_thread();
  if (wall_is_on()) begin_wall_wait(stack_here() + kFrameHead);
  const BlockDraw draw = draw_block(thread);
  return {monotonic_ns(), draw, reinterpret_cast<std::uint64_t>(object), 0, type, false};
}

// Frames as in end_lock_wait. To the wall kind it is time that the thread runs.
__attribute__((noinline)) void note_short_wait(LockType type, const void* lock, std::int32_t owner,
                                               std::uint64_t blocked_ns) {
  if (!kind_is_on(EventKind::kLock)) return;
  ThreadState& thread = this_thread();
  const BlockChoice choice = settle_block(thread, draw_block(thread), blocked_ns);
  if (!choice.chosen) return;
  Hook hook(EventKind::kLock);
  if (!hook.on()) return;
  const std::uint64_t detail = static_cast<std::uint64_t>(type) << 32 | static_cast<std::uint32_t>(owner);
  hook.emit({EventKind::kLock,
             hook.now_ns(),
             {blocked_ns, choice.interval_ns, reinterpret_cast<std::uint64_t>(lock), detail}});
}

// The hook's frame has to be this function's own: no tail call.
__attribute__((noinline)) void end_lock_wait(const LockWait& wait) {
  const std::uint64_t now_ns = monotonic_ns();
  const std::uint64_t blocked_ns = now_ns > wait.begin_ns ? now_ns - wait.begin_ns : 0;
  const LockRelease release = release_during(wait, now_ns);
  if (wait.is_flagged) remove_waiter(wait.lock);
  if (release.time_ns != 0) note_wake(now_ns - release.time_ns);
  if (wall_is_on()) end_wall_wait(blocked_ns);
  const BlockChoice choice = settle_block(this_thread(), wait.draw, blocked_ns);
  if (!choice.chosen) return;
  Hook hook(EventKind::kLock);
  if (!hook.on()) return;
  const std::uint32_t holder = release.tid != 0 ? release.tid : wait.owner;
  const std::uint64_t detail = static_cast<std::uint64_t>(wait.type) << 32 | holder;
  const std::uint32_t code_bytes = release.code != 0 ? sizeof release.code : 0;
  hook.emit({EventKind::kLock,
             now_ns,
             {blocked_ns, choice.interval_ns, wait.lock, detail},
             &release.code,
             code_bytes});
}

LockUnlock begin_unlock(const void* lock, const void* caller) {
  const auto address = reinterpret_cast<std::uint64_t>(lock);
  const std::uint64_t now_ns = monotonic_ns();
  const std::uint64_t interval_ns = block_interval_ns();
  const LockRelease release{now_ns, reinterpret_cast<std::uint64_t>(caller) - 1,
                            static_cast<std::uint32_t>(this_thread().tid)};
  const bool is_wanted = note_release(address, release, early_ns(interval_ns), now_ns + interval_ns);
  return {address, is_wanted ? now_ns : 0};
}

__attribute__((noinline)) void end_unlock(const LockUnlock& unlock) {
  if (unlock.now_ns == 0) return;
  Hook hook(EventKind::kHolder);
  if (!hook.on()) return;
  hook.emit({EventKind::kHolder, unlock.now_ns, {0, 0, unlock.lock, 0}});
}

}  // namespace siprof::shim
