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
constexpr double kRemembered = 10'000;  // samples
constexpr double kLeastRoom = 0.5;      // of the budget, for samples, whatever the rest costs
constexpr int kLooksOfRest = 8;  // that the cost of the rest is an average over: windows are cut in bursts

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

void Budget::UnitCost::add(std::uint64_t more_ns, double more_samples) {
  if (samples > kRemembered) {
    ns /= 2;
    samples /= 2;
  }
  ns += static_cast<double>(more_ns);
  samples += more_samples;
}

void Budget::look(const Spending& spending) {
  std::array<double, kGroups> samples{};
  for (std::uint32_t i = 0; i < kEventKinds; ++i)
    samples[group_of(static_cast<EventKind>(i))] += static_cast<double>(spending.samples[i]);
  double all = 0;
  for (const double count : samples) all += count;
  tick_.add(spending.handler_ns, samples[kTicks]);
  hook_.add(spending.hook_ns, all - samples[kTicks]);
  drain_.add(spending.drain_ns, all);

  std::array<double, kGroups> cost{};
  double sum = 0;
  for (int group = 0; group < kGroups; ++group) {
    const double here = group == kTicks ? tick_.of_one() : hook_.of_one();
    sum += cost[group] = samples[group] * (here + drain_.of_one());
  }
  const double basis =
      std::max(static_cast<double>(spending.app_cpu_ns), absl::ToDoubleNanoseconds(spending.time) / 10);
  if (basis <= 0) return;
  const double drained = static_cast<double>(std::min(spending.drain_ns, spending.agent_cpu_ns));
  const double not_by_the_sample = static_cast<double>(spending.agent_cpu_ns) - drained;
  cost_permille_ = static_cast<std::uint64_t>(std::llround(1000 * (sum + not_by_the_sample) / basis));
  rest_looks_ = std::min(rest_looks_ + 1, kLooksOfRest);
  rest_share_ += (not_by_the_sample / basis - rest_share_) / rest_looks_;
  if (!share_) return;

  const double room = std::max(*share_ - rest_share_, kLeastRoom * *share_);
  const double used = sum / (basis * room);
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
