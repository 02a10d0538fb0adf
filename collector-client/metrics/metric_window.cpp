// SPDX-License-Identifier: Apache-2.0
#include "collector-client/metrics/metric_window.h"

#include <utility>

namespace siprof::client {

// A process that has attached anew, or after an exec, is there twice.
void MetricWindow::OfSeries::add(MetricPoint point) {
  const auto [place, is_new] = places.try_emplace({point.metric, point.pid, point.label}, points.size());
  if (is_new)
    points.push_back(std::move(point));
  else
    points[place->second].value += point.value;
}

void MetricWindow::OfSeries::add_if_new(MetricPoint point) {
  if (!places.contains({point.metric, point.pid, point.label})) add(std::move(point));
}

// Not by process: those of one group would each tell the same.
void MetricWindow::add_groups(OfSeries& into, const std::string& groups) {
  for (const MetricPoint& point : cgroups_.points_of(groups)) into.add_if_new(point);
}

void MetricWindow::add(const SeriesPtr& series, std::vector<MetricPoint> points, const std::string& groups) {
  OfSeries& into = series_[series];
  into.any_lives = true;
  for (MetricPoint& point : points) into.add(std::move(point));
  add_groups(into, groups);
}

void MetricWindow::add_ended(const SeriesPtr& series, std::vector<MetricPoint> points,
                             const std::string& groups) {
  OfSeries& into = series_[series];
  const bool is_one_of_many = ++into.ended > kMostEnded;
  if (ended_ == EndedLevels::kLast) into.ended_levels.clear();
  for (MetricPoint& point : points) {
    if (point.metric->type == MetricType::kLevel) {
      if (ended_ == EndedLevels::kLast || !is_one_of_many) into.ended_levels.push_back(std::move(point));
      continue;
    }
    if (is_one_of_many) point.pid = 0;
    into.add(std::move(point));
  }
  add_groups(into, groups);
}

std::vector<FinishedMetrics> MetricWindow::cut(absl::Time start, absl::Duration duration) {
  std::vector<FinishedMetrics> finished;
  for (auto& [series, of] : series_) {
    if (ended_ == EndedLevels::kAll || !of.any_lives) {
      // The last of those with one pid counts.
      while (!of.ended_levels.empty()) {
        of.add_if_new(std::move(of.ended_levels.back()));
        of.ended_levels.pop_back();
      }
    }
    if (!of.points.empty()) finished.push_back({start, duration, series->attributes, std::move(of.points)});
  }
  series_.clear();
  cgroups_.end_window();
  return finished;
}

}  // namespace siprof::client
