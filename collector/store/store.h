// SPDX-License-Identifier: Apache-2.0
// What the collector needs of a store. SQLite is the first implementation
// (store/sqlite/), another engine is another folder beside it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "collector/store/metric.h"
#include "profile.pb.h"

namespace siprof::collector {

// A profile that ingest has read and found valid (pprof/…: ids, strings, sizes).
struct IncomingProfile {
  std::string agent_id;  // with sequence: the identity that makes delivery exactly-once
  std::uint64_t sequence = 0;
  std::string kind;
  std::int64_t start_unix_ns = 0;
  std::int64_t duration_ns = 0;
  std::map<std::string, std::string> attributes;  // service.name is always there
  perftools::profiles::Profile profile;
  std::map<std::string, std::uint64_t> counters;
};

struct MetricPoint {
  MetricName metric;
  std::map<std::string, std::string> labels;  // pid, cpu.mode, …
  double value = 0;                           // finite; of a counter not negative
};

// The runtime metrics of one window of one set of attributes: gauges at its end, counters' increases in it.
struct IncomingMetrics {
  std::string agent_id;  // with sequence, which profiles and metrics share
  std::uint64_t sequence = 0;
  std::int64_t start_unix_ns = 0;
  std::int64_t duration_ns = 0;
  std::map<std::string, std::string> attributes;  // service.name is always there
  std::vector<MetricPoint> points;                // no two with the same name and labels
};

enum class Stored { kNew, kDuplicate };

class Store {
 public:
  virtual ~Store() = default;

  // Writes a batch in one transaction; when it returns, what is kNew or
  // kDuplicate survives kill -9. One status per profile, in order.
  // Errors: RESOURCE_EXHAUSTED (disk full, limit reached) and UNAVAILABLE are worth a
  // retry later, INVALID_ARGUMENT and OUT_OF_RANGE (older than the retention) are not.
  // Context: ingest's writer thread only.
  virtual std::vector<absl::StatusOr<Stored>> write(std::span<const IncomingProfile> batch) = 0;

  // The same for runtime metrics. What is in the one says nothing about the other: a store that remembers
  // an agent's highest sequence remembers one for profiles and one for metrics.
  virtual std::vector<absl::StatusOr<Stored>> write_metrics(std::span<const IncomingMetrics> batch) = 0;

  // OK while writes are accepted. Any thread.
  virtual absl::Status ready() const = 0;
};

}  // namespace siprof::collector
