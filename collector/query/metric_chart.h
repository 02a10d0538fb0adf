// SPDX-License-Identifier: Apache-2.0
// The windows of a runtime metric as the lines of a chart. Called by /api/v1/metrics.
//
// A gauge is a level: at one moment it adds over processes, over time its mean counts, and beside the mean
// stands the highest level of each step, so that a peak isn't lost in an hour. A counter adds over both; its
// rate is by the time that windows cover, so that a step without data in half of it doesn't read low.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collector/store/reader.h"

namespace siprof::collector {

struct MetricLine {
  std::string label;
  double total = 0;                           // of a counter the sum, of a gauge the mean of its steps
  std::vector<std::optional<double>> values;  // one per step: sum or mean, none where nothing was recorded
  std::vector<std::optional<double>> beside;  // of a counter the rate per second, of a gauge the maximum
};

struct MetricChart {
  std::vector<std::int64_t> times_s;
  std::vector<MetricLine> lines;  // largest first; "(other)" last
};

// Steps as make_chart()'s. A line's place is by the sum of its values, of a gauge by level × time. More than
// `max_lines` lines: the smallest are one, "(other)".
MetricChart make_metric_chart(MetricHistory history, TimeRange range, std::int64_t step_s,
                              std::size_t max_lines);

}  // namespace siprof::collector
