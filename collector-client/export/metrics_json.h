// SPDX-License-Identifier: Apache-2.0
// Metrics over time as JSON: what --output and `record` write (docs/metrics.md). Bounded: when there are too
// many points, two that follow one another become one.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "collector-client/metrics/metric.h"

namespace siprof::client {

class MetricsJson {
 public:
  static constexpr std::size_t kMostPoints = 200'000;
  explicit MetricsJson(std::size_t most_points = kMostPoints) : most_(most_points) {}

  // In the order of time.
  void add(const FinishedMetrics& metrics);

  // A list: by metric its `name`, `unit`, `type` and `points`.
  nlohmann::json list() const;
  // Points of more processes than there is room for.
  std::uint64_t dropped() const { return dropped_; }

 private:
  struct Value {
    absl::Time start;
    absl::Time end;
    double value;
  };
  struct ByName {
    bool operator()(const MetricInfo* a, const MetricInfo* b) const { return a->name < b->name; }
  };
  using Key = std::tuple<std::string, pid_t, std::string>;  // service, process, label

  bool has_room();

  const std::size_t most_;
  std::map<const MetricInfo*, std::map<Key, std::vector<Value>>, ByName> metrics_;
  std::size_t points_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace siprof::client
