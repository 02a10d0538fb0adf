// SPDX-License-Identifier: Apache-2.0
// The metrics of all processes in a window, by series, on their way to the exporter. The agent's thread.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "collector-client/aggregate/window.h"
#include "collector-client/metrics/cgroups.h"
#include "collector-client/metrics/metric.h"

namespace siprof::client {

class MetricWindow {
 public:
  // Of processes that have ended within the window what they have used counts always. Their levels: of each
  // (kAll), or only where no process of the series lives at its end, of the one that ended last: who adds up
  // the processes of a service must not add up those that followed one another.
  enum class EndedLevels { kLast, kAll };
  explicit MetricWindow(EndedLevels ended, Cgroups cgroups = Cgroups())
      : ended_(ended), cgroups_(std::move(cgroups)) {}

  using SeriesPtr = std::shared_ptr<const Series>;
  // A process of these control groups is there from now on.
  void meet(const std::string& groups) { cgroups_.meet(groups); }
  // Once a process and window, before the cut.
  void add(const SeriesPtr& series, std::vector<MetricPoint> points, const std::string& groups);
  void add_ended(const SeriesPtr& series, std::vector<MetricPoint> points, const std::string& groups);

  std::vector<FinishedMetrics> cut(absl::Time start, absl::Duration duration);

  // More processes than these that end in a window share their points: nobody looks at thousands.
  static constexpr std::size_t kMostEnded = 256;

 private:
  struct OfSeries {
    std::vector<MetricPoint> points;
    absl::flat_hash_map<std::tuple<const MetricInfo*, pid_t, std::string>, std::size_t> places;  // in points
    std::vector<MetricPoint> ended_levels;
    std::size_t ended = 0;
    bool any_lives = false;

    void add(MetricPoint point);
    void add_if_new(MetricPoint point);
  };
  void add_groups(OfSeries& into, const std::string& groups);

  const EndedLevels ended_;
  Cgroups cgroups_;
  std::map<SeriesPtr, OfSeries> series_;
};

}  // namespace siprof::client
