// SPDX-License-Identifier: Apache-2.0
// The finisher when profiles come faster than they can be finished.
#include "collector-client/agent/finisher.h"

#include <fcntl.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>

#include "collector-client/metrics/metric_table.h"
#include "collector-client/pprof/summary.h"
#include "test/unit/collector-client/agent/running_agent.h"

namespace siprof::client {
namespace {

// Takes nothing until it is opened.
class ClosedExporter : public FakeExporter {
 public:
  using FakeExporter::submit;
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

// The profile of one window with these samples.
perftools::profiles::Profile finish(std::vector<WindowSample> samples, const Openers& openers) {
  FakeExporter exporter;
  Window window;
  window.series = std::make_shared<const Series>(Series{{{"service.name", "shop"}}, nullptr});
  window.duration = absl::Seconds(1);
  window.samples = std::move(samples);
  PythonFunctions functions;
  Finisher finisher(quick_settings().symbols, functions, exporter);
  finisher.submit({std::move(window)}, openers);
  finisher.wait(absl::InfiniteDuration());
  REQUIRE(exporter.profiles().size() == 1);
  CHECK(exporter.profiles()[0].counters.contains("unsymbolized") == openers.empty());
  return *unpack_profile(exporter.profiles()[0].pprof_gzip);
}

WindowSample sample_at(CodeAddress address, std::uint64_t process) {
  WindowSample sample;
  sample.stack = std::make_shared<const Stack>(Stack{address});
  sample.pid = 7;
  sample.process = process;
  sample.values = {1, 10};
  return sample;
}

// Files below a folder, as those of a container.
class FolderOpener : public FileOpener {
 public:
  absl::StatusOr<int> open(const std::string& path, std::uint64_t, std::uint64_t) override {
    const int fd = ::open((folder_.path() + path).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return absl::NotFoundError(path);
    return fd;
  }
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(folder_.path() + path).parent_path());
    std::ofstream(folder_.path() + path) << text;
  }

 private:
  TemporaryFolder folder_;
};

// Engines look up by build-id what says that it has no functions.
TEST_CASE("code of a file without a name keeps its address and its mapping claims no functions") {
  Module module;
  module.path = "/app/libx.so";
  module.build_id = "ab";
  const auto profile = finish({sample_at({&module, 0x1234}, 1)}, {});
  REQUIRE(profile.location_size() == 1);
  CHECK(profile.location(0).address() == 0x1234);
  CHECK(profile.location(0).line().empty());
  CHECK(profile.function().empty());
  CHECK_FALSE(profile.mapping(0).has_functions());
  CHECK(summarize(profile, "").functions.at(0).name == "[libx.so]");
}

TEST_CASE("of two containers' processes with one pid each has its own names") {
  const auto one = std::make_shared<FolderOpener>();
  const auto two = std::make_shared<FolderOpener>();
  one->write("/tmp/perf-7.map", "1000 100 first\n");
  two->write("/tmp/perf-7.map", "1000 100 second\n");
  const Openers openers = {{1, {7, one}}, {2, {7, two}}};
  const auto profile = finish({sample_at({nullptr, 0x1010}, 1), sample_at({nullptr, 0x1010}, 2)}, openers);
  std::set<std::string> names;
  for (const FunctionTotal& function : summarize(profile, "").functions) names.insert(function.name);
  CHECK(names == std::set<std::string>{"first", "second"});
}

TEST_CASE("windows that are dropped are counted, and what was counted beside them isn't lost") {
  constexpr int kWindows = 20;
  ClosedExporter exporter;
  Aggregator aggregator(absl::UnixEpoch());
  const auto series = aggregator.series({{"service.name", "shop"}}, nullptr);
  PythonFunctions functions;
  Finisher finisher({}, functions, exporter);
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

FinishedMetrics metrics_of(std::size_t points) {
  return {
      absl::UnixEpoch(), absl::Seconds(1), {}, std::vector<MetricPoint>(points, {&kThreadCount, "", 7, 1})};
}

TEST_CASE("metrics don't wait until other windows have names, and without windows they go alone") {
  const PythonFunctions functions;
  FakeExporter exporter;
  Finisher finisher(quick_settings().symbols, functions, exporter);
  finisher.submit({}, {}, {});
  finisher.submit({}, {}, {metrics_of(3)});
  CHECK(finisher.wait(absl::Seconds(20)));
  REQUIRE(exporter.metrics().size() == 1);
  CHECK(exporter.metrics()[0].points.size() == 3);
}

TEST_CASE("metrics that nobody takes are bounded, the oldest go and are counted") {
  const PythonFunctions functions;
  ClosedExporter exporter;
  Window window;
  window.series = std::make_shared<const Series>(Series{{{"service.name", "shop"}}, nullptr});
  window.duration = absl::Seconds(1);
  window.counters["samples"] = 1;
  {
    Finisher finisher(quick_settings().symbols, functions, exporter);
    {
      const std::lock_guard closed(exporter.door());
      finisher.submit({window}, {}, {metrics_of(1)});
      CHECK(comes_true([&] { return exporter.metrics().size() == 1; }));
      for (int i = 0; i < 6; ++i) finisher.submit({}, {}, {metrics_of(100'000)});
    }
    finisher.submit({window}, {}, {});
  }
  std::size_t points = 0;
  for (const FinishedMetrics& one : exporter.metrics()) points += one.points.size();
  CHECK(points == 500'001);
  CHECK(sum_of(exporter, "metric_points_dropped") == 100'000);
}

}  // namespace
}  // namespace siprof::client
