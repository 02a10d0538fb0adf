// SPDX-License-Identifier: Apache-2.0
// Numbers of a process over time, that aren't samples: what it is called, and its value in one window. Names,
// units and labels are OpenTelemetry's where it has them; docs/metrics.md lists them all.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "collector-client/base/resource.h"

namespace siprof::client {

enum class MetricType {
  kLevel,     // the value at the window's end
  kIncrease,  // by how much it has grown within the window
};

struct MetricInfo {
  std::string_view name;
  std::string_view unit;  // of UCUM: s, By, {fault}
  MetricType type;
  std::string_view label;  // what tells its points of one process apart; empty: it has one
};

struct MetricPoint {
  const MetricInfo* metric;  // of metric_table.h: lives as long as the program
  std::string label;         // the value of metric->label
  pid_t pid = 0;             // as the process sees itself; 0: of no single one
  double value = 0;
};

// One window of one set of attributes.
struct FinishedMetrics {
  absl::Time start;
  absl::Duration duration;
  Attributes attributes;  // as those of the profiles of the same processes
  std::vector<MetricPoint> points;
};

}  // namespace siprof::client
