// SPDX-License-Identifier: Apache-2.0
#include "collector-client/agent/session_metrics.h"

#include <algorithm>

namespace siprof::client {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(50);
constexpr absl::Duration kLongestPause = absl::Seconds(2);

}  // namespace

SessionMetrics::SessionMetrics(const MetricSubject& subject, pid_t pid, MetricWindow& window)
    : pid_(pid),
      clock_(subject.clock),
      window_(window),
      folder_(subject.proc_fd),
      sources_(make_metric_sources(subject)),
      pause_(kFirstPause) {
  look(Look::kWhole);
  window_.meet(groups_);
}

void SessionMetrics::look(Look look) {
  for (const auto& source : sources_) source->look(look);
  next_look_ = steady_time(clock_) + pause_;
  if (look != Look::kWhole) return;
  if (const std::string_view groups = folder_.read("cgroup"); !groups.empty()) groups_ = groups;
}

void SessionMetrics::look_if_due() {
  if (steady_time(clock_) < next_look_) return;
  pause_ = std::min(pause_ * 2, kLongestPause);
  look(Look::kBetween);
}

std::vector<MetricPoint> SessionMetrics::points() {
  MetricOutput out(pid_);
  for (const auto& source : sources_) source->report(out);
  return out.take();
}

void SessionMetrics::report(const std::shared_ptr<const Series>& series) {
  look(Look::kWhole);
  window_.add(series, points(), groups_);
}

void SessionMetrics::report_end(const std::shared_ptr<const Series>& series) {
  look(Look::kLast);
  window_.add_ended(series, points(), groups_);
}

}  // namespace siprof::client
