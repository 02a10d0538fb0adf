// SPDX-License-Identifier: Apache-2.0
// Where metrics of one process come from. A source is one file; all are in the table of metric_sources.cpp.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "collector-client/base/clock.h"
#include "collector-client/drain/shared_pool.h"
#include "collector-client/metrics/metric.h"

namespace siprof::client {

// Points of one process.
class MetricOutput {
 public:
  explicit MetricOutput(pid_t pid) : pid_(pid) {}

  void add(const MetricInfo& metric, double value, std::string_view label = {}) {
    points_.push_back({&metric, std::string(label), pid_, value});
  }
  // What isn't known is left out: 0 would be a number.
  void add(const MetricInfo& metric, std::optional<double> value, std::string_view label = {}) {
    if (value) add(metric, *value, label);
  }
  std::vector<MetricPoint> take() { return std::move(points_); }

 private:
  const pid_t pid_;
  std::vector<MetricPoint> points_;
};

enum class Look {
  kBetween,  // within a window, in case that the process ends before the next one; to be cheap
  kWhole,    // at its beginning, and before each report
  kLast,     // the process has ended, or is another program by now: what it has used counts, levels don't
};

// Of one process. The agent's thread.
class MetricSource {
 public:
  virtual ~MetricSource() = default;

  // The first look is what increases are counted from.
  virtual void look(Look look) = 0;
  // What has grown since the last report, and levels as they were last seen.
  virtual void report(MetricOutput& out) = 0;
};

// What sources may look at. Outlives them.
struct MetricSubject {
  int proc_fd;  // its folder in /proc, as it handed it over; -1: none
  const SharedPool& pool;
  const Clock& clock;
  // No agent has looked at it before: if it is young, what it has used up to the first look counts too.
  bool is_new = false;
};

std::unique_ptr<MetricSource> make_process_metrics(const MetricSubject& subject);
std::unique_ptr<MetricSource> make_io_metrics(const MetricSubject& subject);
std::unique_ptr<MetricSource> make_python_metrics(const MetricSubject& subject);

// All of a process's.
std::vector<std::unique_ptr<MetricSource>> make_metric_sources(const MetricSubject& subject);

// By how much a number that only grows has grown between two reports.
class Increase {
 public:
  // Without it, from what is seen first.
  void count_from(std::uint64_t start) { last_ = start; }
  void see(std::uint64_t now) {
    // One that has become smaller counts from there on: it is another one's.
    if (last_) sum_ += now > *last_ ? static_cast<double>(now - *last_) : 0;
    is_seen_ = is_seen_ || last_.has_value();
    last_ = now;
  }
  // nullopt: it wasn't seen twice yet, or not at all since the last time.
  std::optional<double> take() {
    if (!std::exchange(is_seen_, false)) return std::nullopt;
    return std::exchange(sum_, 0);
  }

 private:
  std::optional<std::uint64_t> last_;
  double sum_ = 0;
  bool is_seen_ = false;
};

}  // namespace siprof::client
