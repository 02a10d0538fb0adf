// SPDX-License-Identifier: Apache-2.0
// Who unlocks learns that somebody waits, and whether the stack is wanted.
#include "shim/probe/lock_flags.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <thread>
#include <vector>

namespace siprof::shim {
namespace {

constexpr std::uint64_t kNow = 1'000'000'000'000;
constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kLock = 0x7f00'1234'5680;

bool is_waited_for(std::uint64_t lock) {
  return may_be_waited_for(reinterpret_cast<const void*>(lock));
}

// Another lock that has the same word.
std::uint64_t neighbour_of(std::uint64_t lock) {
  std::uint64_t other = lock + 8;
  while (lock_place(other).index != lock_place(lock).index || lock_place(other).tag == lock_place(lock).tag)
    other += 8;
  return other;
}

TEST_CASE("a lock is marked while somebody waits for it") {
  forget_waiters();
  CHECK_FALSE(is_waited_for(kLock));
  REQUIRE(add_waiter(kLock, kNow, kNow + kMs));
  REQUIRE(add_waiter(kLock, kNow, kNow + 2 * kMs));
  remove_waiter(kLock);
  CHECK(is_waited_for(kLock));
  remove_waiter(kLock);
  CHECK_FALSE(is_waited_for(kLock));
  remove_waiter(kLock);
  CHECK_FALSE(is_waited_for(kLock));
}

TEST_CASE("the stack is wanted from the earliest deadline on, and then not for a while") {
  forget_waiters();
  REQUIRE(add_waiter(kLock, kNow, kNow + 5 * kMs));
  REQUIRE(add_waiter(kLock, kNow, kNow + 2 * kMs));
  REQUIRE(add_waiter(kLock, kNow, kNow + 9 * kMs));
  const auto unlock = [](std::uint64_t ns, std::uint64_t early_ns) {
    return note_release(kLock, {ns, 0x1000, 7}, early_ns, ns + kMs);
  };
  CHECK_FALSE(unlock(kNow + kMs, 0));
  CHECK(unlock(kNow + 2 * kMs, 0));
  CHECK_FALSE(unlock(kNow + 2 * kMs + kMs / 2, 0));
  CHECK(unlock(kNow + 2 * kMs + kMs / 2, kMs / 2));
  CHECK(unlock(kNow + 8 * kMs, 0));
}

TEST_CASE("whoever unlocked last is noted, also when no stack is wanted") {
  forget_waiters();
  REQUIRE(add_waiter(kLock, kNow, kNow + 5 * kMs));
  CHECK_FALSE(note_release(kLock, {kNow + kMs, 0x1000, 7}, 0, kNow + 2 * kMs));
  const LockRelease last = last_release(kLock);
  CHECK(last.time_ns == kNow + kMs);
  CHECK(last.code == 0x1000);
  CHECK(last.tid == 7);
}

TEST_CASE("another lock that falls on the same word goes without, until the first one is forgotten") {
  forget_waiters();
  const std::uint64_t other = neighbour_of(kLock);
  REQUIRE(add_waiter(kLock, kNow, kNow + kMs));
  CHECK_FALSE(add_waiter(other, kNow, kNow + kMs));
  CHECK_FALSE(note_release(other, {kNow + 2 * kMs, 0x1000, 7}, 0, kNow + 3 * kMs));
  // The wait was left by a jump.
  const std::uint64_t later = kNow + 20'000 * kMs;
  CHECK(add_waiter(other, later, later + kMs));
  CHECK(note_release(other, {later + kMs + kMs / 2, 0x1000, 7}, 0, later + 3 * kMs));
  remove_waiter(kLock);
  CHECK(is_waited_for(other));
  remove_waiter(other);
  CHECK_FALSE(is_waited_for(other));
}

TEST_CASE("a wait of days is still known to be due") {
  forget_waiters();
  REQUIRE(add_waiter(kLock, kNow, kNow + kMs));
  const std::uint64_t days_later = kNow + 3 * 86'400'000 * kMs;
  CHECK(note_release(kLock, {days_later, 0x1000, 7}, 0, days_later + kMs));
}

TEST_CASE("many threads that come and go leave no mark") {
  forget_waiters();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int j = 0; j < 20'000; ++j) {
        if (add_waiter(kLock, kNow, kNow + static_cast<std::uint64_t>(j))) remove_waiter(kLock);
        note_release(kLock, {kNow + kMs, 0x1000, 7}, 0, kNow + 2 * kMs);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(is_waited_for(kLock));
}

}  // namespace
}  // namespace siprof::shim
