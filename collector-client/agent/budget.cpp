// SPDX-License-Identifier: Apache-2.0
#include "collector-client/agent/budget.h"

#include <algorithm>
#include <cmath>

namespace siprof::client {
namespace {

constexpr int kMostSteps = 40;          // a millionth of the rate
constexpr int kMostStepsAtOnce = 6;     // an eighth
constexpr double kRoomForMore = 0.6;    // of the budget: a step back would not exceed it
constexpr double kWorthLowering = 0.1;  // of the cost
constexpr double kManySamples = 50;     // in a look: the agent's turns cost little beside them

double factor_of(int steps) {
  return std::exp2(0.5 * steps);
}

}  // namespace

Budget::Group Budget::group_of(EventKind event) {
  switch (event) {
    case EventKind::kHeap:
      return kHeap;
    case EventKind::kLock:
    case EventKind::kHolder:
    case EventKind::kIo:
      return kBlock;
    case EventKind::kError:
      return kErrors;
    case EventKind::kCpu:
    case EventKind::kWall:
      break;
  }
  return kTicks;
}

void Budget::set_share(std::optional<double> share) {
  if (share == share_) return;
  share_ = share;
  steps_ = {};
}

std::uint64_t Budget::share_permille() const {
  return share_ ? static_cast<std::uint64_t>(std::llround(*share_ * 1000)) : 0;
}

// Turns cost something without samples too: that isn't by the sample, and lower rates wouldn't save it.
double Budget::agent_ns_of_one(const Spending& spending, double samples) {
  if (samples == 0) return 0;
  const double share = static_cast<double>(spending.agent_cpu_ns) / samples;
  if (samples >= kManySamples) agent_ns_of_one_ = share;
  return std::min(share, agent_ns_of_one_);
}

void Budget::look(const Spending& spending) {
  std::array<double, kGroups> samples{};
  for (std::uint32_t i = 0; i < kEventKinds; ++i)
    samples[group_of(static_cast<EventKind>(i))] += static_cast<double>(spending.samples[i]);
  double all = 0;
  for (const double count : samples) all += count;
  tick_.ns += static_cast<double>(spending.handler_ns);
  tick_.samples += samples[kTicks];
  hook_.ns += static_cast<double>(spending.hook_ns);
  hook_.samples += all - samples[kTicks];

  const double agent_of_one = agent_ns_of_one(spending, all);
  std::array<double, kGroups> cost{};
  double sum = 0;
  for (int group = 0; group < kGroups; ++group) {
    const double here = group == kTicks ? tick_.of_one() : hook_.of_one();
    sum += cost[group] = samples[group] * (here + agent_of_one);
  }
  const double basis =
      std::max(static_cast<double>(spending.app_cpu_ns), absl::ToDoubleNanoseconds(spending.time) / 10);
  if (basis <= 0) return;
  const double not_by_the_sample = static_cast<double>(spending.agent_cpu_ns) - all * agent_of_one;
  cost_permille_ = static_cast<std::uint64_t>(std::llround(1000 * (sum + not_by_the_sample) / basis));
  if (!share_) return;

  const double used = sum / (basis * *share_);
  if (used > 1) {
    const int more = std::min(kMostStepsAtOnce, static_cast<int>(std::ceil(2 * std::log2(used))));
    for (int group = 0; group < kGroups; ++group) {
      if (cost[group] > kWorthLowering * sum) steps_[group] = std::min(kMostSteps, steps_[group] + more);
    }
  } else if (used < kRoomForMore) {
    for (int& steps : steps_) steps = std::max(0, steps - 1);
  }
}

Rates Budget::within(const Rates& wanted) const {
  Rates rates = wanted;
  const auto times = [](auto value, int steps) {
    return static_cast<decltype(value)>(std::llround(static_cast<double>(value) * factor_of(steps)));
  };
  rates.hz = std::max<std::uint32_t>(
      1, static_cast<std::uint32_t>(std::llround(wanted.hz / factor_of(steps_[kTicks]))));
  rates.heap_interval_bytes = times(wanted.heap_interval_bytes, steps_[kHeap]);
  // Not above a second: what a short wait is of a longer interval gets coarse.
  rates.block_interval_ns = std::min(times(wanted.block_interval_ns, steps_[kBlock]),
                                     std::max<std::uint64_t>(wanted.block_interval_ns, 1'000'000'000));
  rates.error_interval = times(wanted.error_interval, steps_[kErrors]);
  return rates;
}

}  // namespace siprof::client
