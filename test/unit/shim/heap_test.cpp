// SPDX-License-Identifier: Apache-2.0
// Which allocations are chosen: whatever the size, and through changes of the rate.
#include "shim/probe/heap.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>

#include "collector-client/intake/intake.h"
#include "shim/core/config.h"
#include "shim/core/process.h"
#include "shim/core/sampler.h"

namespace siprof::shim {
namespace {

// Rates as the environment has them: no agent is attached.
void set_interval(std::uint64_t interval) {
  g_config.start_ns = 1;
  g_config.rates.heap_interval_bytes = interval;
  g_kinds = kind_bit(EventKind::kHeap);
  g_process.off = 0;
}

// As a wrapper does. The interval that it was chosen with, 0: it wasn't.
std::uint64_t allocate(std::uint64_t bytes) {
  return is_due(bytes) ? choose(bytes) : 0;
}

TEST_CASE("an interval of one takes every allocation, empty ones too") {
  set_interval(1);
  draw_anew(this_thread());
  for (int i = 0; i < 1000; ++i) CHECK(allocate(static_cast<std::uint64_t>(i) % 3) == 1);
}

TEST_CASE("chosen allocations stand for all, also of small means and of sizes beyond them") {
  const auto interval = GENERATE(std::uint64_t{2}, std::uint64_t{64}, std::uint64_t{4096});
  set_interval(interval);
  draw_anew(this_thread());
  constexpr std::uint64_t kSizes[] = {0, 1, 100, 20'000};
  constexpr int kRounds = 400'000;
  double counted[4] = {};
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < 4; ++i) {
      if (const std::uint64_t with = allocate(kSizes[i]); with != 0)
        counted[i] +=
            client::inverse_probability(static_cast<double>(kSizes[i] + 1), static_cast<double>(with));
    }
  }
  for (int i = 0; i < 4; ++i) {
    const double chance = -std::expm1(-static_cast<double>(kSizes[i] + 1) / static_cast<double>(interval));
    CHECK(counted[i] / kRounds == Approx(1).margin(5 * std::sqrt((1 - chance) / chance / kRounds) + 1e-4));
  }
}

// A thread hears of another rate at its next tick; until then it goes on with what it drew, and says so.
TEST_CASE("a changed rate leaves the weights right") {
  constexpr int kRounds = 1'200'000;  // a deviation of 0.4 %
  double counted = 0;
  for (int round = 0; round < kRounds; ++round) {
    set_interval(round % 7 < 3 ? 512 : 4096);
    if (round % 11 == 0) draw_anew(this_thread());
    if (const std::uint64_t with = allocate(99); with != 0)
      counted += client::inverse_probability(100, static_cast<double>(with));
  }
  CHECK(counted / kRounds == Approx(1).margin(0.03));
}

TEST_CASE("a kind that is off asks once, and begins when it is drawn anew") {
  set_interval(1);
  g_kinds = 0;
  draw_anew(this_thread());
  CHECK(allocate(10) == 0);
  for (int i = 0; i < 100; ++i) CHECK_FALSE(is_due(1 << 30));
  g_kinds = kind_bit(EventKind::kHeap);
  draw_anew(this_thread());
  CHECK(allocate(10) == 1);
}

TEST_CASE("before the constructor has run it asks again soon") {
  set_interval(1);
  g_kinds = 0;
  g_config.start_ns = 0;
  draw_anew(this_thread());
  CHECK(allocate(10) == 0);
  set_interval(1);
  bool is_chosen = false;
  for (int i = 0; i < 1000; ++i) is_chosen = is_chosen || allocate(1000) != 0;
  CHECK(is_chosen);
}

TEST_CASE("sizes that can't be had change nothing") {
  set_interval(4096);
  draw_anew(this_thread());
  while (allocate(10) == 0) {
  }
  const std::int64_t left = this_thread().heap_left;
  for (const std::uint64_t bytes : {~std::uint64_t{0}, ~std::uint64_t{0} - 7, std::uint64_t{1} << 63,
                                    (std::uint64_t{1} << 63) - 1, std::uint64_t{3} << 62}) {
    CHECK(allocate(bytes) == 0);
    CHECK(this_thread().heap_left == left);
  }
}

}  // namespace
}  // namespace siprof::shim
