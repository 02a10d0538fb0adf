// SPDX-License-Identifier: Apache-2.0
// How windows of a metric become the steps of a chart: levels by time, counts by sum, peaks kept.
#include <catch2/catch.hpp>

#include "absl/strings/str_cat.h"
#include "collector/query/metric_chart.h"

namespace siprof::collector {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kStartS = 1'700'000'000 / 60 * 60;

struct Window {
  double from_s, to_s, value;  // after kStartS
};

std::vector<MetricWindow> windows(const std::vector<Window>& given) {
  const auto at = [](double s) { return kStartS * kSecondNs + static_cast<std::int64_t>(s * 1e9); };
  std::vector<MetricWindow> made;
  for (const Window& window : given) made.push_back({at(window.from_s), at(window.to_s), window.value});
  return made;
}

MetricChart chart(MetricType type, std::map<std::string, std::vector<MetricWindow>> lines,
                  std::int64_t step_s, std::int64_t seconds = 60, std::size_t max_lines = 20) {
  MetricHistory history;
  history.metric = {"m", "By", type};
  history.lines = std::move(lines);
  return make_metric_chart(std::move(history), {kStartS * kSecondNs, (kStartS + seconds) * kSecondNs}, step_s,
                           max_lines);
}

using Values = std::vector<std::optional<double>>;

void check_close(const Values& got, const Values& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    INFO("step " << i);
    REQUIRE(got[i].has_value() == expected[i].has_value());
    if (got[i]) CHECK(*got[i] == Approx(*expected[i]));
  }
}

TEST_CASE("a level is averaged over time, adds over processes, and its peak stands beside it") {
  // One process of 100 all the time, a second of 900 for ten seconds; another one follows it.
  const auto all = windows({{0, 10, 100}, {10, 20, 100}, {20, 30, 100}, {10, 20, 900}, {20, 25, 50}});
  const MetricChart minute = chart(MetricType::kGauge, {{"", all}}, 60);
  REQUIRE(minute.lines.size() == 1);
  check_close(minute.lines[0].values, {(100. * 30 + 900 * 10 + 50 * 5) / 30});
  check_close(minute.lines[0].beside, {1000});
  const MetricChart fine = chart(MetricType::kGauge, {{"", all}}, 10);
  check_close(fine.lines[0].values, {100, 1000, 125, {}, {}, {}});
  check_close(fine.lines[0].beside, {100, 1000, 150, {}, {}, {}});
  CHECK(fine.lines[0].total == Approx((100 + 1000 + 125) / 3.));
  CHECK(fine.times_s == std::vector<std::int64_t>{kStartS, kStartS + 10, kStartS + 20, kStartS + 30,
                                                  kStartS + 40, kStartS + 50});
}

TEST_CASE("what follows another process doesn't add to it, and time without data counts for nothing") {
  const MetricChart made =
      chart(MetricType::kGauge, {{"", windows({{0, 10, 8}, {10, 20, 4}, {40, 50, 6}})}}, 60);
  check_close(made.lines[0].values, {6});
  check_close(made.lines[0].beside, {8});
}

TEST_CASE("a window counts in each step that it covers a part of, and outside of the chart nowhere") {
  const MetricChart made = chart(MetricType::kGauge, {{"", windows({{5, 25, 3}, {55, 75, 9}})}}, 10);
  check_close(made.lines[0].values, {3, 3, 3, {}, {}, 9});
}

TEST_CASE("fractions that are added and taken away leave nothing behind, and levels may be negative") {
  const auto odd = windows({{0, 10, 0.1}, {5, 15, 0.2}, {15, 25, 0}, {10, 30, 0.3}, {30, 40, 0}});
  const MetricChart made = chart(MetricType::kGauge, {{"", odd}}, 10);
  for (const auto& value : made.lines[0].values)
    if (value) CHECK(*value >= 0);
  CHECK(made.lines[0].values[3] == 0.);
  const MetricChart cold = chart(MetricType::kGauge, {{"", windows({{0, 10, -4}, {10, 20, -2}})}}, 60);
  check_close(cold.lines[0].values, {-3});
  check_close(cold.lines[0].beside, {-2});
}

TEST_CASE("counts are summed by the step in which their window begins; the rate is by the time covered") {
  const auto all = windows({{0, 10, 30}, {10, 20, 10}, {12, 22, 10}, {55, 65, 5}});
  const MetricChart made = chart(MetricType::kCounter, {{"", all}}, 20);
  check_close(made.lines[0].values, {50, {}, 5});
  check_close(made.lines[0].beside, {50 / 22., {}, 0.5});
  CHECK(made.lines[0].total == 55);
}

TEST_CASE("a counter's window that is longer than a step is spread over the steps, and its sum stays") {
  const MetricChart made = chart(MetricType::kCounter, {{"", windows({{5, 35, 60}})}}, 10);
  check_close(made.lines[0].values, {10, 20, 20, 10, {}, {}});
  check_close(made.lines[0].beside, {2, 2, 2, 2, {}, {}});
  CHECK(made.lines[0].total == Approx(60));
}

TEST_CASE("lines come largest first; the smallest are one, as if they had never been told apart") {
  std::map<std::string, std::vector<MetricWindow>> lines;
  for (int i = 0; i < 30; ++i) {
    const double at = 2. * i;  // one after another: together they are never more than one
    lines[absl::StrCat("p", i)] = windows({{at, at + 2, 30. - i}});
  }
  const MetricChart made = chart(MetricType::kGauge, lines, 60, 60, 20);
  REQUIRE(made.lines.size() == 21);
  CHECK(made.lines[0].label == "p0");
  CHECK(made.lines[19].label == "p19");
  CHECK(made.lines[20].label == "(other)");
  check_close(made.lines[20].values, {5.5});
  check_close(made.lines[20].beside, {10});
  const MetricChart counted = chart(MetricType::kCounter, lines, 60, 60, 20);
  check_close(counted.lines[20].values, {55});
  check_close(counted.lines[20].beside, {55 / 20.});
}

TEST_CASE("without windows there are steps and no lines") {
  CHECK(make_metric_chart({}, {0, 60 * kSecondNs}, 10, 20).times_s.size() == 6);
  CHECK(make_metric_chart({}, {0, 60 * kSecondNs}, 10, 20).lines.empty());
}

}  // namespace
}  // namespace siprof::collector
