// SPDX-License-Identifier: Apache-2.0
// The distances between samples: of the right distribution, and fair to what they choose from.
#include "shim/core/sampler.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>

#include "collector-client/intake/intake.h"
#include "shim/core/block_sampler.h"

namespace siprof::shim {
namespace {

ThreadState seeded(std::uint64_t seed) {
  ThreadState thread{};
  thread.random = seed;
  return thread;
}

TEST_CASE("distances are exponentially distributed about their mean") {
  constexpr int kDraws = 400'000;
  ThreadState thread = seeded(1);
  const auto mean = GENERATE(std::uint64_t{1000}, std::uint64_t{524'288}, std::uint64_t{1} << 40);
  double sum = 0;
  int below_median = 0;
  int above_three_means = 0;
  for (int i = 0; i < kDraws; ++i) {
    const auto distance = static_cast<double>(draw_distance(thread, mean));
    REQUIRE(distance >= 0);
    sum += distance / static_cast<double>(mean);
    below_median += distance < std::log(2) * static_cast<double>(mean);
    above_three_means += distance > 3 * static_cast<double>(mean);
  }
  // Four standard deviations of each.
  CHECK(sum / kDraws == Approx(1).margin(4 / std::sqrt(kDraws) + 1e-3));
  CHECK(static_cast<double>(below_median) / kDraws == Approx(0.5).margin(4 * 0.5 / std::sqrt(kDraws) + 1e-3));
  CHECK(static_cast<double>(above_three_means) / kDraws == Approx(std::exp(-3)).margin(0.002));
}

TEST_CASE("a mean of one takes everything") {
  ThreadState thread = seeded(1);
  for (int i = 0; i < 100; ++i) CHECK(draw_distance(thread, 1) == 0);
}

TEST_CASE("threads that nobody seeded draw differently") {
  ThreadState one{};
  ThreadState other{};
  one.serial = 1;
  other.serial = 2;
  CHECK(draw_distance(one, 1 << 20) != draw_distance(other, 1 << 20));
}

// As a probe counts down; what the chosen ones stand for is what there was, for each size, also where a
// pattern repeats itself.
TEST_CASE("what is chosen stands for all there was, for each size of a pattern") {
  constexpr std::uint64_t kMean = 4096;
  constexpr std::int64_t kSizes[] = {1, 16, 4095, 100'000};
  constexpr int kRounds = 500'000;
  ThreadState thread = seeded(7);
  double counted[4] = {};
  std::int64_t left = draw_distance(thread, kMean);
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < 4; ++i) {
      left -= kSizes[i];
      if (left >= 0) continue;
      left = draw_distance(thread, kMean);
      counted[i] += client::inverse_probability(static_cast<double>(kSizes[i]), kMean);
    }
  }
  for (int i = 0; i < 4; ++i) {
    const double chance = 1 - std::exp(-static_cast<double>(kSizes[i]) / kMean);
    const double deviation = std::sqrt((1 - chance) / chance / kRounds);
    CHECK(counted[i] / kRounds == Approx(1).margin(4 * deviation + 1e-3));
  }
}

struct Settled {
  double events;
  double blocked_ns;
};

// `rounds` waits of `blocked_ns`, a long one between them now and then: what the chosen ones stand for.
Settled settled(ThreadState& thread, std::uint64_t blocked_ns, int rounds) {
  Settled sum{};
  for (int i = 0; i < rounds; ++i) {
    if (i % 100 == 0) {
      const BlockDraw draw = draw_block(thread);
      const BlockChoice choice = settle_block(thread, draw, 5 * draw.interval_ns);
      REQUIRE((choice.chosen && choice.interval_ns == 0));
    }
    const BlockChoice choice = settle_block(thread, draw_block(thread), blocked_ns);
    if (!choice.chosen) continue;
    const double weight =
        client::inverse_probability(static_cast<double>(blocked_ns), static_cast<double>(choice.interval_ns));
    sum.events += weight;
    sum.blocked_ns += weight * static_cast<double>(blocked_ns);
  }
  return sum;
}

TEST_CASE("short waits that are chosen stand for all of their length, beside long ones that always are") {
  g_config.rates.block_interval_ns = 1'000'000;
  const auto blocked_ns = GENERATE(std::uint64_t{700}, std::uint64_t{5'000}, std::uint64_t{999'999});
  ThreadState thread = seeded(11);
  const int rounds = static_cast<int>(std::min<std::uint64_t>(400'000'000'000 / blocked_ns, 4'000'000));
  const Settled sum = settled(thread, blocked_ns, rounds);
  const double chosen = rounds * -std::expm1(-static_cast<double>(blocked_ns) / 1e6);
  CHECK(sum.events / rounds == Approx(1).margin(5 / std::sqrt(chosen)));
}

TEST_CASE("what is left of a countdown means the same at another rate") {
  ThreadState thread = seeded(3);
  Settled sum{};
  constexpr int kRounds = 400'000;
  for (int i = 0; i < kRounds; ++i) {
    g_config.rates.block_interval_ns = i % 2 == 0 ? 1'000'000 : 20'000;
    const Settled one = settled(thread, 5'000, 1);
    sum.events += one.events;
  }
  g_config.rates.block_interval_ns = 1'000'000;
  CHECK(sum.events / kRounds == Approx(1).margin(0.07));
}

TEST_CASE("a wait is chosen from its deadline on, not before") {
  g_config.rates.block_interval_ns = 1'000'000;
  ThreadState thread = seeded(5);
  for (int i = 0; i < 1000; ++i) {
    draw_anew(thread);
    const BlockDraw draw = draw_block(thread);
    REQUIRE(draw.deadline_ns >= 1);
    REQUIRE(draw.deadline_ns <= draw.interval_ns);
    ThreadState before = thread;
    CHECK_FALSE(settle_block(before, draw, draw.deadline_ns - 1).chosen);
    CHECK(settle_block(thread, draw, draw.deadline_ns).chosen);
  }
}

}  // namespace
}  // namespace siprof::shim
