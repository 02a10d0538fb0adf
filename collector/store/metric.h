// SPDX-License-Identifier: Apache-2.0
// What a runtime metric is called and how its values add up: shared by both sides of the store.
#pragma once

#include <string>

namespace siprof::collector {

enum class MetricType {
  kGauge,    // a level (memory, threads): the mean over time counts, and processes add
  kCounter,  // an increase (CPU time, faults): adds over time and processes
};

struct MetricName {
  std::string name;  // OpenTelemetry's: process.memory.usage
  std::string unit;  // By
  MetricType type = MetricType::kGauge;
  friend auto operator<=>(const MetricName&, const MetricName&) = default;
};

}  // namespace siprof::collector
