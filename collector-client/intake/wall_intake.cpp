// SPDX-License-Identifier: Apache-2.0
// Wall-clock samples: waits, which come when they are over, and the ticks of threads that run. A tick inside
// of such a wait is part of it.
#include <algorithm>

#include "collector-client/intake/intake.h"

namespace siprof::client {
namespace {

constexpr std::uint64_t kMostWaitedNs = 30ull * 24 * 3600 * 1'000'000'000;
constexpr std::uint64_t kMostPeriodNs = 1'000'000'000;

class WallIntake : public Intake {
 public:
  explicit WallIntake(const IntakeSources& sources) : rates_(sources.rates) {}

  Kind kind() const override { return Kind::kWall; }

  void take(const RawSample& record, SampleView sample, IntakeOutput& out) override {
    const EventHead& head = record.record.head;
    const double wall_ns = head.event == EventKind::kCpu ? running_ns(head) : waited_ns(head);
    if (wall_ns <= 0) return;
    const double periods = wall_ns * std::max<std::uint32_t>(1, rates_.hz) / 1e9;
    const std::int64_t values[] = {periods_.take(periods), bounded(wall_ns)};
    const SampleLabel labels[] = {{"state", head.event == EventKind::kCpu ? "running" : "waiting", 0}};
    sample.values = values;
    sample.labels = labels;
    out.add(sample);
  }

  void account(const Rates& rates, IntakeOutput& out) override { out.state("sampling_hz", rates.hz); }

 private:
  static double running_ns(const EventHead& head) {
    if (head.values[kCpuInWait] != 0) return 0;
    const std::uint64_t ticks = std::min<std::uint64_t>(head.values[kCpuTicks], 1'000'000);
    return static_cast<double>(ticks * std::min(head.values[kCpuPeriodNs], kMostPeriodNs));
  }

  double waited_ns(const EventHead& head) {
    const auto waited = static_cast<double>(std::min(head.values[kWallWaitedNs], kMostWaitedNs));
    const std::uint64_t interval_ns = std::min(head.values[kWallIntervalNs], kMostPeriodNs);
    const double alone = interval_ns == 0 ? 1 : inverse_probability(waited, static_cast<double>(interval_ns));
    return waited * alone * lost_.take(head);
  }

  const Rates& rates_;
  WholeParts periods_;
  LostShare lost_;
};

}  // namespace

std::unique_ptr<Intake> make_wall_intake(const IntakeSources& sources) {
  return std::make_unique<WallIntake>(sources);
}

}  // namespace siprof::client
