// SPDX-License-Identifier: Apache-2.0
// Sampled allocations that live: found and forgotten, bounded, and none of another attachment's.
#include "shim/probe/live_heap.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "test/unit/shim/test_pool.h"

namespace siprof::shim {
namespace {

const void* block_at(std::uint64_t address) {
  return reinterpret_cast<const void*>(address);
}

std::set<std::uint64_t> ids_of(const TestPool& pool) {
  const auto* slots =
      reinterpret_cast<const LiveSlot*>(reinterpret_cast<const char*>(pool.header()) + kLiveSlotsOffset);
  std::set<std::uint64_t> ids;
  for (std::uint32_t i = 0; i < kLiveSlots; ++i) {
    if (slots[i].id != 0) ids.insert(slots[i].id);
  }
  return ids;
}

std::uint64_t counted(const TestPool& pool, Counter counter) {
  return pool.header()->counters[static_cast<std::uint32_t>(counter)];
}

// Each test is an attachment of its own.
std::uint64_t next_session() {
  static std::uint64_t last = 1000;
  return ++last;
}

TEST_CASE("an allocation is followed until it is freed") {
  const std::uint64_t session = next_session();
  TestPool pool(1, session);
  const void* block = block_at(0x7f0000001230);
  REQUIRE(follow(pool.header(), session, block, 7));
  CHECK(may_be_followed(block));
  CHECK(ids_of(pool) == std::set<std::uint64_t>{7});
  unfollow(block_at(0x7f0000001240));
  CHECK(ids_of(pool) == std::set<std::uint64_t>{7});
  unfollow(block);
  CHECK(ids_of(pool).empty());
  CHECK_FALSE(may_be_followed(block));
}

TEST_CASE("nothing at all is never followed") {
  const std::uint64_t session = next_session();
  TestPool pool(1, session);
  unfollow(nullptr);
  CHECK(suspend(nullptr) == nullptr);
}

TEST_CASE("an address that was freed unseen and comes again has its new number alone") {
  const std::uint64_t session = next_session();
  TestPool pool(1, session);
  const void* block = block_at(0x555500001000);
  follow(pool.header(), session, block, 1);
  follow(pool.header(), session, block, 2);
  CHECK(ids_of(pool) == std::set<std::uint64_t>{2});
  unfollow(block);
  CHECK(ids_of(pool).empty());
  CHECK_FALSE(may_be_followed(block));
}

TEST_CASE("what is being reallocated lives, but not for who gets its address meanwhile") {
  const std::uint64_t session = next_session();
  TestPool pool(1, session);
  const void* block = block_at(0x555500002000);
  follow(pool.header(), session, block, 1);
  LiveSlot* slot = suspend(block);
  REQUIRE(slot != nullptr);
  CHECK(ids_of(pool) == std::set<std::uint64_t>{1});
  REQUIRE(follow(pool.header(), session, block, 2));
  unfollow(block);
  CHECK(ids_of(pool) == std::set<std::uint64_t>{1});
  SECTION("it stayed") {
    resume(slot, block);
    CHECK(ids_of(pool) == std::set<std::uint64_t>{1});
    unfollow(block);
  }
  SECTION("it has gone") {
    end(slot, block);
  }
  CHECK(ids_of(pool).empty());
  CHECK_FALSE(may_be_followed(block));
}

TEST_CASE("three quarters of the slots are used before any is refused, and what is refused is counted") {
  const std::uint64_t session = next_session();
  TestPool pool(1, session);
  std::mt19937_64 random(1);
  std::vector<const void*> blocks;
  std::uint64_t refused_at = 0;
  for (std::uint64_t i = 0; i < 2 * kLiveSlots; ++i) {
    const void* block = block_at((random() & 0x7fffffffff0) | 0x10);
    if (follow(pool.header(), session, block, i + 1)) {
      blocks.push_back(block);
    } else if (refused_at == 0) {
      refused_at = i;
    }
  }
  CHECK(refused_at > kLiveSlots * 3 / 4);
  CHECK(blocks.size() <= kLiveSlots);
  CHECK(counted(pool, Counter::heap_live_dropped) == 2 * kLiveSlots - blocks.size());
  for (const void* block : blocks) unfollow(block);
  CHECK(ids_of(pool).empty());
}

TEST_CASE("a new attachment begins with nothing, and counts what was forgotten") {
  const std::uint64_t session = next_session();
  TestPool pool(1, session);
  const void* before = block_at(0x555500003000);
  const void* other = block_at(0x666600004000);
  follow(pool.header(), session, before, 1);
  const std::uint64_t next = next_session();
  pool.replace(1, next);
  unfollow(before);
  follow(pool.header(), next, other, 2);
  CHECK(ids_of(pool) == std::set<std::uint64_t>{2});
  CHECK_FALSE(may_be_followed(before));
  CHECK(counted(pool, Counter::heap_live_forgotten) == 1);
  unfollow(other);
}

TEST_CASE("a forked child looks at nothing of its parent's") {
  const std::uint64_t session = next_session();
  TestPool pool(1, session);
  const void* block = block_at(0x555500005000);
  follow(pool.header(), session, block, 1);
  g_process.session.load()->number = 0;  // as the kernel empties its page
  forget_followed();
  CHECK_FALSE(may_be_followed(block));
  unfollow(block);
  CHECK(ids_of(pool) == std::set<std::uint64_t>{1});
  g_process.session.load()->number = session;
}

TEST_CASE("threads that follow and free at once leave nothing behind") {
  const std::uint64_t session = next_session();
  TestPool pool(1, session);
  std::vector<std::thread> threads;
  for (std::uint64_t t = 1; t <= 4; ++t) {
    threads.emplace_back([&pool, session, t] {
      std::vector<const void*> mine(200);
      for (std::uint64_t i = 0; i < 40'000; ++i) {
        const void*& place = mine[i % mine.size()];
        if (place != nullptr) unfollow(place);
        place = block_at(t << 40 | (i * 48 + 16) % (1 << 20));
        follow(pool.header(), session, place, t << 40 | (i + 1));
      }
      for (const void* block : mine) unfollow(block);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(ids_of(pool).empty());
  for (std::uint64_t i = 0; i < kLiveFilterBytes; ++i) REQUIRE(g_live_filter.counts[i] == 0);
}

}  // namespace
}  // namespace siprof::shim
