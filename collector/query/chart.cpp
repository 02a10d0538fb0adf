// SPDX-License-Identifier: Apache-2.0
#include "collector/query/chart.h"

#include <algorithm>
#include <cmath>

#include "collector/query/name_tree.h"

namespace siprof::collector {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;

ChartLine make_line(const std::string& label, const std::map<std::int64_t, std::int64_t>& points,
                    const std::vector<std::int64_t>& times_s, std::int64_t step_s) {
  ChartLine line{label, 0, std::vector<std::optional<std::int64_t>>(times_s.size())};
  for (const auto& [start_ns, value] : points) {
    const std::int64_t step = (start_ns / kSecondNs - times_s.front()) / step_s;
    if (start_ns / kSecondNs < times_s.front() || step >= static_cast<std::int64_t>(times_s.size())) continue;
    line.values[static_cast<std::size_t>(step)] = value;
    line.total = saturating_add(line.total, value);
  }
  return line;
}

void sum_into(const ChartLine& line, ChartLine& other) {
  other.total = saturating_add(other.total, line.total);
  for (std::size_t i = 0; i < line.values.size(); ++i)
    if (line.values[i]) other.values[i] = saturating_add(other.values[i].value_or(0), *line.values[i]);
}

}  // namespace

Chart make_chart(const SeriesTotals& totals, TimeRange range, std::int64_t step_s, std::size_t max_lines) {
  Chart chart;
  const std::int64_t step_ns = step_s * kSecondNs;
  for (std::int64_t at = range.from_ns / step_ns * step_ns; at < range.to_ns; at += step_ns)
    chart.times_s.push_back(at / kSecondNs);
  if (chart.times_s.empty()) return chart;
  for (const auto& [label, points] : totals.points)
    if (!points.empty()) chart.lines.push_back(make_line(label, points, chart.times_s, step_s));
  std::ranges::stable_sort(chart.lines, std::ranges::greater(), &ChartLine::total);
  if (chart.lines.size() <= max_lines) return chart;
  ChartLine other{"(other)", 0, std::vector<std::optional<std::int64_t>>(chart.times_s.size())};
  for (std::size_t i = max_lines; i < chart.lines.size(); ++i) sum_into(chart.lines[i], other);
  chart.lines.resize(max_lines);
  chart.lines.push_back(std::move(other));
  return chart;
}

void average_totals(Chart& chart) {
  for (ChartLine& line : chart.lines) {
    double sum = 0;
    std::size_t steps = 0;
    for (const std::optional<std::int64_t>& value : line.values) {
      if (!value) continue;
      sum += static_cast<double>(*value);
      ++steps;
    }
    line.total = steps == 0 ? 0 : std::llround(sum / static_cast<double>(steps));
  }
}

}  // namespace siprof::collector
