// SPDX-License-Identifier: Apache-2.0
// Processes that live and end in a window, and what of them is told. The table of metrics against its
// documentation.
#include "collector-client/metrics/metric_window.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <set>

#include "collector-client/base/file_io.h"
#include "collector-client/metrics/metric_table.h"

namespace siprof::client {
namespace {

constexpr auto kLast = MetricWindow::EndedLevels::kLast;
constexpr auto kAll = MetricWindow::EndedLevels::kAll;

const auto kShop = std::make_shared<const Series>(Series{{{"service.name", "shop"}}, nullptr});
const auto kMail = std::make_shared<const Series>(Series{{{"service.name", "mail"}}, nullptr});

std::vector<MetricPoint> process(pid_t pid, double faults, double bytes) {
  return {{&kPagingFaults, "minor", pid, faults}, {&kMemoryUsage, "", pid, bytes}};
}

std::vector<FinishedMetrics> cut(MetricWindow& window) {
  return window.cut(absl::FromUnixSeconds(100), absl::Seconds(10));
}

// Of one metric, by process; -1: none.
double value(const std::vector<FinishedMetrics>& all, const MetricInfo& metric, pid_t pid) {
  double found = -1;
  for (const FinishedMetrics& finished : all) {
    for (const MetricPoint& point : finished.points) {
      if (point.metric != &metric || point.pid != pid) continue;
      CHECK(found == -1);  // each once
      found = point.value;
    }
  }
  return found;
}

TEST_CASE("a window has its time, its series with their attributes, and every process's points") {
  MetricWindow window(kLast, Cgroups("/not/there"));
  window.add(kShop, process(1, 10, 500), "");
  window.add(kShop, process(2, 20, 600), "");
  window.add(kMail, process(3, 30, 700), "");
  const std::vector<FinishedMetrics> finished = cut(window);
  REQUIRE(finished.size() == 2);
  for (const FinishedMetrics& one : finished) {
    CHECK(one.start == absl::FromUnixSeconds(100));
    CHECK(one.duration == absl::Seconds(10));
    CHECK(one.points.size() == (one.attributes.at("service.name") == "shop" ? 4 : 2));
  }
  CHECK(value(finished, kPagingFaults, 2) == 20);
  CHECK(value(finished, kMemoryUsage, 3) == 700);
  CHECK(cut(window).empty());
}

TEST_CASE("processes that have ended are told with what they used, and levels nobody adds up wrongly") {
  MetricWindow window(kLast, Cgroups("/not/there"));
  window.add_ended(kShop, process(1, 10, 500), "");
  window.add_ended(kShop, process(2, 20, 600), "");
  SECTION("while another one of the service lives") {
    window.add(kShop, process(3, 30, 700), "");
    const auto finished = cut(window);
    CHECK(value(finished, kPagingFaults, 1) == 10);
    CHECK(value(finished, kPagingFaults, 2) == 20);
    CHECK(value(finished, kMemoryUsage, 1) == -1);
    CHECK(value(finished, kMemoryUsage, 2) == -1);
    CHECK(value(finished, kMemoryUsage, 3) == 700);
  }
  SECTION("with nobody left: the last one's") {
    window.add(kMail, process(3, 30, 700), "");
    const auto finished = cut(window);
    CHECK(value(finished, kMemoryUsage, 1) == -1);
    CHECK(value(finished, kMemoryUsage, 2) == 600);
  }
}

TEST_CASE("where processes are told apart each has its levels") {
  MetricWindow window(kAll, Cgroups("/not/there"));
  window.add_ended(kShop, process(1, 10, 500), "");
  window.add_ended(kShop, process(2, 20, 600), "");
  window.add(kShop, process(3, 30, 700), "");
  const auto finished = cut(window);
  CHECK(value(finished, kMemoryUsage, 1) == 500);
  CHECK(value(finished, kMemoryUsage, 2) == 600);
  CHECK(value(finished, kMemoryUsage, 3) == 700);
}

TEST_CASE("a process that is another program by now is one process still") {
  const auto levels = GENERATE(kLast, kAll);
  MetricWindow window(levels, Cgroups("/not/there"));
  window.add_ended(kShop, process(1, 10, 500), "");
  window.add_ended(kShop, process(1, 4, 550), "");
  SECTION("it lives") {
    window.add(kShop, process(1, 5, 900), "");
    const auto finished = cut(window);
    CHECK(value(finished, kPagingFaults, 1) == 19);
    CHECK(value(finished, kMemoryUsage, 1) == 900);
  }
  SECTION("it has ended") {
    const auto finished = cut(window);
    CHECK(value(finished, kPagingFaults, 1) == 14);
    CHECK(value(finished, kMemoryUsage, 1) == 550);
  }
}

TEST_CASE("of thousands that end in a window the first have points of their own, sums are whole") {
  MetricWindow window(kAll, Cgroups("/not/there"));
  for (pid_t pid = 1; pid <= 5000; ++pid) window.add_ended(kShop, process(pid, 2, 500), "");
  const auto finished = cut(window);
  REQUIRE(finished.size() == 1);
  CHECK(finished[0].points.size() <= 2 * MetricWindow::kMostEnded + 1);
  double sum = 0;
  for (const MetricPoint& point : finished[0].points) sum += point.metric == &kPagingFaults ? point.value : 0;
  CHECK(sum == 10'000);
  CHECK(value(finished, kPagingFaults, 0) == 10'000 - 2 * MetricWindow::kMostEnded);
}

TEST_CASE("every metric is documented with its unit and label, each name is one metric") {
  const char* source = std::getenv("SIPROF_SOURCE");
  REQUIRE(source != nullptr);
  const std::string text = *read_file(std::string(source) + "/docs/metrics.md", 1 << 20);
  std::set<std::string_view> names;
  for (const MetricInfo* metric : kAllMetrics) {
    CHECK(names.insert(metric->name).second);
    const std::string type = metric->type == MetricType::kLevel ? "gauge" : "counter";
    const std::string label = metric->label.empty() ? "" : "`" + std::string(metric->label) + "`";
    const std::string row = "| `" + std::string(metric->name) + "` | `" + std::string(metric->unit) + "` | " +
                            type + " | " + label;
    INFO(row);
    CHECK(text.find(row) != std::string::npos);
  }
}

}  // namespace
}  // namespace siprof::client
