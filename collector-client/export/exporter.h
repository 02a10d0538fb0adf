// SPDX-License-Identifier: Apache-2.0
// Where finished profiles and metrics go. One file per way (collector stream, folder, …),
// registered in exporters.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "collector-client/metrics/metric.h"
#include "collector.pb.h"

namespace siprof::client {

// One window of one kind of one set of attributes.
struct FinishedProfile {
  std::string kind;  // "cpu"
  absl::Time start;
  absl::Duration duration;
  std::map<std::string, std::string> attributes;  // service.name and the rest of the resource
  std::string pprof_gzip;
  std::map<std::string, std::uint64_t> counters;  // by the names of docs/wire-format.md
};

// Called on an exporter's own thread when the collector has sent a configuration.
using ConfigurationSink = std::function<void(const v1::Configuration&)>;

class Exporter {
 public:
  virtual ~Exporter() = default;

  // Takes the profile over. Never blocks on the network; may write to disk.
  // Any thread. Errors: counted and logged, never thrown away silently.
  virtual void submit(FinishedProfile profile) = 0;
  // The same for metrics.
  virtual void submit(FinishedMetrics metrics) = 0;

  // Waits until all that was submitted has arrived (file: is on disk; collector:
  // is acknowledged). Errors: DEADLINE_EXCEEDED, what is left stays in the spool.
  virtual absl::Status flush(absl::Time deadline) = 0;

  // What was sent, acknowledged, dropped, … since the start, for `siprof ps` and
  // the profile's comments. Any thread.
  virtual std::map<std::string, std::uint64_t> counters() const = 0;
};

}  // namespace siprof::client
