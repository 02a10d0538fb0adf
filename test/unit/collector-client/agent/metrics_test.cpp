// SPDX-License-Identifier: Apache-2.0
// Metrics of real processes, from their attach to the exporter: at the window's end, at theirs, switched off
// and on.
#include <catch2/catch.hpp>

#include "collector-client/metrics/metric_table.h"
#include "test/unit/collector-client/agent/fake_process.h"
#include "test/unit/collector-client/agent/running_agent.h"

namespace siprof::client {
namespace {

FakeProcess::Options with_metrics() {
  FakeProcess::Options options;
  options.kinds = kKindCpu | kMetricsBit;
  return options;
}

AgentSettings settings_of(absl::Duration window) {
  AgentSettings settings = quick_settings();
  settings.window = window;
  return settings;
}

double cpu_seconds(const FakeExporter& exporter) {
  return exporter.metric_total(kCpuTime, "user") + exporter.metric_total(kCpuTime, "system");
}

TEST_CASE("each window has the increases in it, and the levels at its end") {
  const AgentPlace place;
  FakeProcess process(place.path(), with_metrics());
  RunningAgent running(place, settings_of(absl::Milliseconds(300)));
  REQUIRE(process.attach());
  REQUIRE(process.burn(400));
  REQUIRE(comes_true([&] { return cpu_seconds(running.exporter) >= 0.38; }));
  for (const FinishedMetrics& window : running.exporter.metrics()) {
    CHECK(window.attributes.at("service.name") == "shop");
    CHECK(window.duration > absl::ZeroDuration());
    for (const MetricPoint& point : window.points) {
      INFO(point.metric->name);
      CHECK(point.value >= 0);
      if (point.metric->label == "process.linux.cgroup") continue;
      CHECK(point.pid == process.pid());
      if (point.metric == &kThreadCount) CHECK(point.value == 1);
      if (point.metric == &kMemoryUsage) CHECK(point.value > 100'000);
      if (point.metric == &kDescriptorCount) CHECK(point.value >= 3);
    }
  }
  REQUIRE(process.burn(200));
  REQUIRE(comes_true([&] { return cpu_seconds(running.exporter) >= 0.58; }));
  CHECK(cpu_seconds(running.exporter) < 0.75);
  process.exit();
}

TEST_CASE("a process that ends within the window is told of") {
  const AgentPlace place;
  FakeProcess process(place.path(), with_metrics());
  RunningAgent running(place, settings_of(absl::Hours(1)));
  REQUIRE(process.attach());
  REQUIRE(process.burn(300));
  SECTION("to the end, as it isn't reaped before") {
    process.become_zombie();
    running.wait();
    CHECK(cpu_seconds(running.exporter) >= 0.29);
  }
  SECTION("as far as it was seen, where it is") {
    REQUIRE(comes_true([&] { return running.status()["processes"].size() == 1; }));
    usleep(2'200'000);  // a look has come since
    process.exit();
    running.wait();
    CHECK(cpu_seconds(running.exporter) >= 0.29);
  }
  REQUIRE(running.exporter.metrics().size() == 1);
  CHECK(running.exporter.metric_total(kThreadCount) == 1);
  CHECK(running.exporter.metric_total(kMemoryUsage) > 100'000);
}

TEST_CASE("of a process that another agent has had only what it uses from now on counts") {
  const AgentPlace place;
  FakeProcess::Options options = with_metrics();
  options.attached_before = GENERATE(true, false);
  FakeProcess process(place.path(), options);
  RunningAgent running(place, settings_of(absl::Hours(1)));
  REQUIRE(process.burn(300));
  REQUIRE(process.attach());
  REQUIRE(comes_true([&] { return running.status()["processes"].size() == 1; }));
  process.become_zombie();
  running.wait();
  if (options.attached_before)
    CHECK(cpu_seconds(running.exporter) < 0.1);
  else
    CHECK(cpu_seconds(running.exporter) >= 0.29);
}

TEST_CASE("a process that attaches again counts once") {
  const AgentPlace place;
  FakeProcess process(place.path(), with_metrics());
  RunningAgent running(place, settings_of(absl::Hours(1)));
  for (int i = 0; i < 4; ++i) {
    REQUIRE(process.attach());
    REQUIRE(process.burn(100));
  }
  REQUIRE(comes_true([&] { return running.status()["attached"] == 4; }));
  process.become_zombie();
  running.wait();
  CHECK(cpu_seconds(running.exporter) == Approx(0.4).margin(0.06));
  CHECK(running.exporter.metric_total(kThreadCount) == 1);
}

TEST_CASE("a configuration switches metrics off and on again, for a program that knows nothing of it") {
  const AgentPlace place;
  const bool starts_on = GENERATE(true, false);
  FakeProcess process(place.path(), starts_on ? with_metrics() : FakeProcess::Options());
  RunningAgent running(place, settings_of(absl::Milliseconds(200)));
  v1::Configuration configuration;
  REQUIRE(process.attach());
  REQUIRE(process.burn(100));
  if (starts_on) REQUIRE(comes_true([&] { return !running.exporter.metrics().empty(); }));
  configuration.add_services()->set_kinds("cpu");
  running.agent().configure(configuration);
  usleep(500'000);
  const std::size_t before = running.exporter.metrics().size();
  const double cpu_before = cpu_seconds(running.exporter);
  REQUIRE(process.burn(300));
  usleep(500'000);
  CHECK(running.exporter.metrics().size() == before);
  if (!starts_on) CHECK(before == 0);
  configuration.mutable_services(0)->set_kinds("cpu,metrics");
  running.agent().configure(configuration);
  REQUIRE(comes_true([&] { return running.exporter.metrics().size() >= before + 3; }));
  // What it used meanwhile is nobody's.
  CHECK(cpu_seconds(running.exporter) - cpu_before < 0.1);
  REQUIRE(process.burn(200));
  REQUIRE(comes_true([&] { return cpu_seconds(running.exporter) - cpu_before > 0.18; }));
  CHECK((process.control().kinds & kAllKinds) == kKindCpu);
}

TEST_CASE("with metrics alone the process is told to stop ticking, and no window waits for samples") {
  const AgentPlace place;
  FakeProcess::Options options;
  options.kinds = kMetricsBit;
  FakeProcess process(place.path(), options);
  RunningAgent running(place, settings_of(absl::Milliseconds(200)));
  REQUIRE(process.attach());
  REQUIRE(comes_true([&] { return process.control().generation == 1; }));
  CHECK((process.control().kinds & kAllKinds) == 0);
  REQUIRE(comes_true([&] { return running.exporter.metrics().size() >= 2; }));
}

}  // namespace
}  // namespace siprof::client
