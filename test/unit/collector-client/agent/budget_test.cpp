// SPDX-License-Identifier: Apache-2.0
// A program and an agent whose samples cost what the test says, looked at once a second.
#include "collector-client/agent/budget.h"

#include <catch2/catch.hpp>
#include <cmath>

namespace siprof::client {
namespace {

constexpr Rates kWanted{100, kAllKinds, 524'288, 1'000'000, 1};
constexpr double kSecondNs = 1e9;

struct Load {
  double cpus = 1;                // that the program uses
  double heap_bytes = 0;          // allocated in a second
  double blocked_ns = 0;          // in a second, in short waits
  double errors = 0;              // in a second
  double ns_in_app = 1'000;       // of a sample
  double ns_in_agent = 5'000;     // of a sample
  double agent_base_ns = 50'000;  // in a second
};

// What a second at those rates brings.
Spending second_of(const Load& load, const Rates& rates) {
  Spending spending;
  spending.time = absl::Seconds(1);
  spending.app_cpu_ns = static_cast<std::uint64_t>(load.cpus * kSecondNs);
  const auto set = [&](EventKind kind, double count) {
    spending.samples[static_cast<std::size_t>(kind)] = static_cast<std::uint64_t>(count);
    return count;
  };
  const double ticks = set(EventKind::kCpu, load.cpus * rates.hz);
  const double others =
      set(EventKind::kHeap, load.heap_bytes / static_cast<double>(rates.heap_interval_bytes)) +
      set(EventKind::kLock, load.blocked_ns / static_cast<double>(rates.block_interval_ns)) +
      set(EventKind::kError, load.errors / static_cast<double>(rates.error_interval));
  spending.handler_ns = static_cast<std::uint64_t>(ticks * load.ns_in_app);
  spending.hook_ns = static_cast<std::uint64_t>(others * load.ns_in_app);
  spending.drain_ns = static_cast<std::uint64_t>((ticks + others) * load.ns_in_agent);
  spending.agent_cpu_ns = static_cast<std::uint64_t>(load.agent_base_ns) + spending.drain_ns;
  return spending;
}

double cost_of(const Load& load, const Rates& rates) {
  const Spending spending = second_of(load, rates);
  return static_cast<double>(spending.handler_ns + spending.hook_ns + spending.agent_cpu_ns) /
         (std::max(load.cpus, 0.1) * kSecondNs);
}

Rates after(Budget& budget, const Load& load, int seconds) {
  for (int i = 0; i < seconds; ++i) budget.look(second_of(load, budget.within(kWanted)));
  return budget.within(kWanted);
}

TEST_CASE("what is cheap is left as it was asked for") {
  Budget budget(0.01);
  CHECK(after(budget, {.heap_bytes = 1e8}, 60) == kWanted);
  CHECK(budget.cost_permille() == 2);
  CHECK(budget.share_permille() == 10);
}

TEST_CASE("an allocation storm is sampled less until it keeps to the budget, and ticks are not") {
  Budget budget(0.01);
  const Load storm{.cpus = 4, .heap_bytes = 2e10};  // 5.7 % at the rate asked for
  REQUIRE(cost_of(storm, kWanted) > 0.05);
  const Rates rates = after(budget, storm, 3);
  CHECK(cost_of(storm, rates) <= 0.01);
  CHECK(cost_of(storm, rates) > 0.005);
  CHECK(rates.hz == kWanted.hz);
  CHECK(rates.block_interval_ns == kWanted.block_interval_ns);
  CHECK(after(budget, storm, 60) == rates);  // and stays there
}

TEST_CASE("samples get what the rest leaves of the budget") {
  Budget budget(0.01);
  const Load storm{.heap_bytes = 2e10, .agent_base_ns = 4e6};
  const Rates rates = after(budget, storm, 60);
  CHECK(cost_of(storm, rates) <= 0.01);
  CHECK(cost_of(storm, rates) > 0.007);
}

TEST_CASE("where the rest alone is more than the budget, samples get half of it") {
  Budget budget(0.01);
  const Load storm{.heap_bytes = 2e10, .agent_base_ns = 3e7};
  const double by_the_sample = cost_of(storm, after(budget, storm, 60)) - 0.03;
  CHECK(by_the_sample <= 0.005);
  CHECK(by_the_sample > 0.0025);
}

TEST_CASE("when the storm is over the rate comes back") {
  Budget budget(0.01);
  after(budget, {.heap_bytes = 1e11}, 10);
  CHECK(after(budget, {.heap_bytes = 1e6}, 60) == kWanted);
}

TEST_CASE("each kind that costs is lowered, whatever it is") {
  const Load load = GENERATE(Load{.blocked_ns = 1e12}, Load{.errors = 1e5},
                             Load{.cpus = 0.5, .ns_in_app = 200'000, .ns_in_agent = 100'000});
  Budget budget(0.01);
  REQUIRE(cost_of(load, kWanted) > 0.02);
  CHECK(cost_of(load, after(budget, load, 5)) <= 0.01);
}

TEST_CASE("a program that sleeps is not starved of samples") {
  Budget budget(0.01);
  CHECK(after(budget, {.cpus = 0.001, .heap_bytes = 1e6}, 60) == kWanted);
}

TEST_CASE("what the agent's turns cost isn't put down to the few samples of a quiet program") {
  Budget budget(0.01);
  CHECK(after(budget, {.cpus = 0.03, .heap_bytes = 1e6, .agent_base_ns = 3e6}, 60) == kWanted);
  CHECK(budget.cost_permille() >= 30);  // it is told of
}

TEST_CASE("without a budget rates are fixed, and the cost is still told") {
  Budget budget(std::nullopt);
  const Load storm{.heap_bytes = 1e11};
  CHECK(after(budget, storm, 60) == kWanted);
  CHECK(budget.cost_permille() > 900);
  CHECK(budget.share_permille() == 0);
}

TEST_CASE("a new budget starts from what is asked for") {
  Budget budget(0.001);
  const Rates low = after(budget, {.heap_bytes = 1e10}, 10);
  REQUIRE(low.heap_interval_bytes > kWanted.heap_interval_bytes);
  budget.set_share(0.5);
  CHECK(budget.within(kWanted) == kWanted);
}

TEST_CASE("nothing spent and no time gone changes nothing") {
  Budget budget(0.01);
  budget.look({});
  CHECK(budget.within(kWanted) == kWanted);
  CHECK(budget.cost_permille() == 0);
}

}  // namespace
}  // namespace siprof::client
