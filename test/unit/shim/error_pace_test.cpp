// SPDX-License-Identifier: Apache-2.0
// Which throws get a stack, and what each stands for.
#include "shim/probe/error_pace.h"

#include <catch2/catch.hpp>
#include <cstdint>

namespace siprof::shim {
namespace {

constexpr std::uint64_t kSecondNs = ErrorPace::kSecondNs;

// Throws at an even rate; sums by the place in a pattern of three.
struct Storm {
  ErrorPace pace;
  ThreadState thread{};
  std::uint64_t now_ns = 1'000 * kSecondNs;
  std::uint64_t thrown = 0;
  std::uint64_t stacks = 0;
  std::uint64_t interval = 1;
  double sums[3] = {};

  explicit Storm(std::uint64_t seed) { thread.random = seed; }

  std::uint32_t once(std::uint64_t after_ns) {
    now_ns += after_ns;
    const std::uint32_t weight = pace.take(thread, now_ns, interval);
    sums[thrown++ % 3] += weight;
    stacks += weight != 0;
    return weight;
  }
  double sum() const { return sums[0] + sums[1] + sums[2]; }
};

TEST_CASE("up to ten thousand a second each throw has its stack") {
  Storm storm(1);
  for (int i = 0; i < 50'000; ++i) REQUIRE(storm.once(kSecondNs / 9'990) == 1);
}

TEST_CASE("a burst within a second's ten thousand has all its stacks") {
  Storm storm(1);
  for (int second = 0; second < 5; ++second) {
    for (int i = 0; i < 9'000; ++i) REQUIRE(storm.once(1'000) == 1);
    storm.now_ns += kSecondNs;
  }
}

TEST_CASE("of a storm about ten thousand stacks a second stand for all, fairly in a pattern") {
  Storm storm(7);
  constexpr std::uint64_t kPerSecond = 600'000;
  for (std::uint64_t i = 0; i < 10 * kPerSecond; ++i) storm.once(kSecondNs / kPerSecond);
  // The last few wait for the next stack.
  CHECK(storm.sum() == Approx(10 * kPerSecond).epsilon(0.001));
  CHECK(storm.stacks < 10 * 11'000 + 20'000);
  CHECK(storm.stacks > 10 * 8'000);
  for (const double sum : storm.sums) CHECK(sum == Approx(10 * kPerSecond / 3.0).epsilon(0.03));
}

TEST_CASE("the budget thins many out, keeps what they stand for, and leaves few alone") {
  Storm storm(11);
  storm.interval = 64;
  for (int i = 0; i < 200'000; ++i) storm.once(kSecondNs / 5'000);
  CHECK(storm.sum() == Approx(200'000).epsilon(0.01));
  CHECK(storm.stacks < 40 * 250);
  CHECK(storm.stacks > 40 * 100);
  storm.interval = 1'000'000;
  storm.now_ns += 10 * kSecondNs;
  for (int i = 0; i < 40; ++i) storm.once(kSecondNs / 19);  // two seconds, to be sure that it's over
  for (int i = 0; i < 100; ++i) CHECK(storm.once(kSecondNs / 19) == 1);
}

TEST_CASE("after a storm single throws have their stacks again, and nothing is left behind") {
  Storm storm(3);
  for (int i = 0; i < 1'000'000; ++i) storm.once(1'000);
  storm.now_ns += kSecondNs;
  storm.once(1);
  CHECK(storm.sum() == 1'000'001);
  storm.now_ns += kSecondNs;
  for (int i = 0; i < 100; ++i) CHECK(storm.once(kSecondNs / 1'000) == 1);
}

TEST_CASE("what could not be written is paid back in parts") {
  Storm storm(5);
  std::uint64_t lost = 0;
  std::uint32_t heaviest = 0;
  for (int i = 0; i < 2'000'000; ++i) {
    const std::uint32_t weight = storm.once(2'000);
    const bool is_full = i > 100'000 && i < 150'000;
    if (weight != 0 && is_full) {
      storm.pace.put_back(weight);
      lost += weight;
    } else if (weight > heaviest) {
      heaviest = weight;
    }
  }
  storm.now_ns += kSecondNs;
  for (int i = 0; i < 5'000; ++i) storm.once(kSecondNs / 1'000);
  CHECK(lost > 40'000);
  CHECK(storm.sum() - static_cast<double>(lost) == 2'005'000);
  CHECK(heaviest < 2'500);
}

}  // namespace
}  // namespace siprof::shim
