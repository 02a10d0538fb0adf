// SPDX-License-Identifier: Apache-2.0
// CPU samples: ticks of a timer.
#include <algorithm>

#include "collector-client/intake/intake.h"

namespace siprof::client {
namespace {

class CpuIntake : public Intake {
 public:
  Kind kind() const override { return Kind::kCpu; }

  void take(const RawSample& record, SampleView sample, IntakeOutput& out) override {
    const EventHead& head = record.record.head;
    const std::uint64_t ticks = std::min<std::uint64_t>(head.values[kCpuTicks], 1'000'000);
    if (ticks == 0) return;
    const std::uint64_t period_ns =
        std::clamp<std::uint64_t>(head.values[kCpuPeriodNs], 1'000'000, 1'000'000'000);
    const std::int64_t values[] = {static_cast<std::int64_t>(ticks),
                                   static_cast<std::int64_t>(ticks * period_ns)};
    sample.values = values;
    out.add(sample);
    out.count("cpu_sampled_ns", ticks * period_ns);
  }

  void account(const Rates& rates, IntakeOutput& out) override { out.state("sampling_hz", rates.hz); }
};

}  // namespace

std::unique_ptr<Intake> make_cpu_intake(const IntakeSources&) {
  return std::make_unique<CpuIntake>();
}

}  // namespace siprof::client
