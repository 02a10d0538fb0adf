// SPDX-License-Identifier: Apache-2.0
// The finisher when profiles come faster than they can be finished.
#include "collector-client/agent/finisher.h"

#include <catch2/catch.hpp>
#include <thread>

#include "test/unit/collector-client/agent/running_agent.h"

namespace siprof::client {
namespace {

// Takes nothing until it is opened.
class ClosedExporter : public FakeExporter {
 public:
  void submit(FinishedProfile profile) override {
    const std::lock_guard lock(door_);
    FakeExporter::submit(std::move(profile));
  }
  std::mutex& door() { return door_; }

 private:
  std::mutex door_;
};

std::uint64_t sum_of(const FakeExporter& exporter, const std::string& name) {
  std::uint64_t sum = 0;
  for (const FinishedProfile& profile : exporter.profiles()) {
    const auto found = profile.counters.find(name);
    if (found != profile.counters.end()) sum += found->second;
  }
  return sum;
}

TEST_CASE("windows that are dropped are counted, and what was counted beside them isn't lost") {
  constexpr int kWindows = 20;
  ClosedExporter exporter;
  Aggregator aggregator(absl::UnixEpoch());
  const auto series = aggregator.series({{"service.name", "shop"}}, nullptr);
  Finisher finisher({}, exporter);
  {
    const std::lock_guard closed(exporter.door());
    for (int i = 0; i < kWindows; ++i) {
      const std::int64_t values[] = {3, 30};
      SampleView sample;
      sample.values = values;
      aggregator.add(series, Kind::kCpu, sample);
      aggregator.count(series, Kind::kCpu, "cpu_proc_ns", 100);
      aggregator.state(series, Kind::kCpu, "sampling_hz", 99);
      finisher.submit(aggregator.cut(absl::Seconds(1), absl::UnixEpoch()), {});
    }
  }
  finisher.wait(absl::InfiniteDuration());
  const auto lost = static_cast<std::int64_t>(sum_of(exporter, "profiles_lost"));
  CHECK(lost >= 10);  // eight wait, one is with the exporter
  CHECK(sum_of(exporter, "samples_unfinished") == static_cast<std::uint64_t>(lost * 3));
  CHECK(exporter.total(0) == (kWindows - lost) * 3);
  CHECK(sum_of(exporter, "cpu_proc_ns") == kWindows * 100);
  for (const FinishedProfile& profile : exporter.profiles()) CHECK(profile.counters.at("sampling_hz") == 99);
}

}  // namespace
}  // namespace siprof::client
