// SPDX-License-Identifier: Apache-2.0
#include "collector/query/metric_chart.h"

#include <algorithm>

#include "collector/store/covered_time.h"

namespace siprof::collector {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;

using Windows = std::vector<MetricWindow>;

struct Steps {
  std::int64_t first_ns = 0;
  std::int64_t step_ns = 0;
  std::size_t count = 0;

  std::int64_t end_ns() const { return first_ns + step_ns * static_cast<std::int64_t>(count); }
  std::size_t index(std::int64_t at_ns) const {
    return static_cast<std::size_t>((at_ns - first_ns) / step_ns);
  }

  // Calls visit(step, from, to) for each step's part of an interval; what is outside of the chart is left
  // out.
  template <typename Visit>
  void split(std::int64_t from_ns, std::int64_t to_ns, Visit visit) const {
    from_ns = std::max(from_ns, first_ns);
    to_ns = std::min(to_ns, end_ns());
    while (from_ns < to_ns) {
      const std::size_t step = index(from_ns);
      const std::int64_t end = std::min(to_ns, first_ns + step_ns * static_cast<std::int64_t>(step + 1));
      visit(step, from_ns, end);
      from_ns = end;
    }
  }
};

// The level changes by `delta` at a moment, where a window begins or ends.
struct Change {
  std::int64_t at_ns = 0;
  double delta = 0;
  int windows = 0;
};

std::vector<Change> changes_of(const Windows& windows) {
  std::vector<Change> changes;
  changes.reserve(2 * windows.size());
  for (const MetricWindow& window : windows) {
    changes.push_back({window.start_ns, window.value, 1});
    changes.push_back({window.end_ns, -window.value, -1});
  }
  std::ranges::sort(changes, {}, &Change::at_ns);
  return changes;
}

// The sum of all windows from moment to moment: visit(from, to, level).
template <typename Visit>
void walk_levels(const Windows& windows, Visit visit) {
  const std::vector<Change> changes = changes_of(windows);
  const bool never_negative = std::ranges::none_of(windows, [](const auto& w) { return w.value < 0; });
  double level = 0;
  std::int64_t open = 0;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    level += changes[i].delta;
    open += changes[i].windows;
    // What adding and taking away leaves of fractions is nothing.
    if (open == 0 || (never_negative && level < 0)) level = 0;
    if (open > 0 && changes[i].at_ns < changes[i + 1].at_ns)
      visit(changes[i].at_ns, changes[i + 1].at_ns, level);
  }
}

void fill_gauge(const Windows& windows, const Steps& steps, MetricLine& line) {
  std::vector<double> covered(steps.count);
  walk_levels(windows, [&](std::int64_t from_ns, std::int64_t to_ns, double level) {
    steps.split(from_ns, to_ns, [&](std::size_t step, std::int64_t from, std::int64_t to) {
      const auto time = static_cast<double>(to - from);
      covered[step] += time;
      line.values[step] = line.values[step].value_or(0) + level * time;
      line.beside[step] = std::max(line.beside[step].value_or(level), level);
    });
  });
  double sum = 0, filled = 0;
  for (std::size_t step = 0; step < steps.count; ++step) {
    if (!line.values[step]) continue;
    *line.values[step] /= covered[step];
    sum += *line.values[step];
    ++filled;
  }
  line.total = filled > 0 ? sum / filled : 0;
}

// As a profile's total: in the step where it begins, or, longer than a step, spread over those it covers.
void fill_counter(const Windows& windows, const Steps& steps, MetricLine& line) {
  std::vector<CoveredTime> covered(steps.count);
  const auto add = [&](std::size_t step, std::int64_t from, std::int64_t to, double value) {
    line.values[step] = line.values[step].value_or(0) + value;
    covered[step].add(from, to);
  };
  for (const MetricWindow& window : windows) {
    const std::int64_t length = window.end_ns - window.start_ns;
    if (length > steps.step_ns) {
      steps.split(window.start_ns, window.end_ns, [&](std::size_t step, std::int64_t from, std::int64_t to) {
        add(step, from, to, window.value * static_cast<double>(to - from) / static_cast<double>(length));
      });
    } else if (window.start_ns >= steps.first_ns && window.start_ns < steps.end_ns()) {
      add(steps.index(window.start_ns), window.start_ns, window.end_ns, window.value);
    }
  }
  for (std::size_t step = 0; step < steps.count; ++step) {
    if (!line.values[step]) continue;
    line.total += *line.values[step];
    line.beside[step] =
        *line.values[step] * static_cast<double>(kSecondNs) / static_cast<double>(covered[step].ns());
  }
}

MetricLine make_line(const std::string& label, const Windows& windows, MetricType type, const Steps& steps) {
  MetricLine line;
  line.label = label;
  line.values.resize(steps.count);
  line.beside.resize(steps.count);
  type == MetricType::kGauge ? fill_gauge(windows, steps, line) : fill_counter(windows, steps, line);
  return line;
}

using Line = std::pair<std::string, Windows>;

// By what lines are sorted: of a gauge the level × time.
double weight(const Windows& windows, MetricType type) {
  double sum = 0;
  for (const MetricWindow& window : windows)
    sum += type == MetricType::kGauge ? window.value * static_cast<double>(window.end_ns - window.start_ns)
                                      : window.value;
  return sum;
}

// Largest first. The lines that are too many become one: their windows together, so that what is added and
// averaged is as if they had never been told apart.
std::vector<Line> sorted_lines(MetricHistory history, std::size_t max_lines) {
  std::vector<std::pair<double, Line>> weighed;
  for (auto& [label, windows] : history.lines) {
    const double of_line = weight(windows, history.metric->type);
    weighed.emplace_back(of_line, Line(label, std::move(windows)));
  }
  std::ranges::stable_sort(weighed, std::ranges::greater(), [](const auto& line) { return line.first; });
  std::vector<Line> lines;
  for (auto& [_, line] : weighed) {
    if (lines.size() < max_lines) {
      lines.push_back(std::move(line));
      continue;
    }
    if (lines.size() == max_lines) lines.emplace_back("(other)", Windows());
    Windows& rest = lines.back().second;
    rest.insert(rest.end(), line.second.begin(), line.second.end());
  }
  return lines;
}

}  // namespace

MetricChart make_metric_chart(MetricHistory history, TimeRange range, std::int64_t step_s,
                              std::size_t max_lines) {
  MetricChart chart;
  const std::int64_t step_ns = step_s * kSecondNs;
  const std::int64_t first_ns = range.from_ns / step_ns * step_ns;
  for (std::int64_t at = first_ns; at < range.to_ns; at += step_ns) chart.times_s.push_back(at / kSecondNs);
  if (!history.metric || chart.times_s.empty()) return chart;
  const Steps steps{first_ns, step_ns, chart.times_s.size()};
  const MetricType type = history.metric->type;
  for (const auto& [label, windows] : sorted_lines(std::move(history), max_lines))
    chart.lines.push_back(make_line(label, windows, type, steps));
  return chart;
}

}  // namespace siprof::collector
