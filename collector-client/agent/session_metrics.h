// SPDX-License-Identifier: Apache-2.0
// The metrics of one process while the kind is on: when its sources look, and how the window gets their
// points. The agent's thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "collector-client/metrics/metric_source.h"
#include "collector-client/metrics/metric_window.h"
#include "collector-client/metrics/proc_files.h"

namespace siprof::client {

class SessionMetrics {
 public:
  SessionMetrics(const MetricSubject& subject, pid_t pid, MetricWindow& window);

  // Between windows, if it is time: who has ended and was reaped can't be asked any more. Often in the life
  // of a young process, later every other second.
  void look_if_due();
  // Before a window is cut.
  void report(const std::shared_ptr<const Series>& series);
  // The process has ended, or has become another program.
  void report_end(const std::shared_ptr<const Series>& series);

 private:
  void look(Look look);
  std::vector<MetricPoint> points();

  const pid_t pid_;
  const Clock& clock_;
  MetricWindow& window_;
  ProcFolder folder_;
  std::vector<std::unique_ptr<MetricSource>> sources_;
  std::string groups_;  // its control groups, as last read
  absl::Time next_look_;
  absl::Duration pause_;
};

}  // namespace siprof::client
