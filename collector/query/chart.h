// SPDX-License-Identifier: Apache-2.0
// Totals over time as the lines of a chart. Called by /api/v1/series.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collector/store/reader.h"

namespace siprof::collector {

struct ChartLine {
  std::string label;
  std::int64_t total = 0;
  std::vector<std::optional<std::int64_t>> values;  // one per step, none where nothing was recorded
};

struct Chart {
  std::vector<std::int64_t> times_s;
  std::vector<ChartLine> lines;  // by falling total; "(other)" last
};

// Steps from the one that holds range.from_ns to the one before range.to_ns.
// More than `max_lines` lines: the smallest are summed as "(other)".
Chart make_chart(const SeriesTotals& totals, TimeRange range, std::int64_t step_s, std::size_t max_lines);

// Of a level: each line's total is the mean of its steps.
void average_totals(Chart& chart);

}  // namespace siprof::collector
