// SPDX-License-Identifier: Apache-2.0
#include "collector-client/export/metric_messages.h"

#include <string>

namespace siprof::client {
namespace {

v1::MetricPoint to_point(const MetricPoint& point, std::int64_t start_ns, std::int64_t end_ns) {
  v1::MetricPoint out;
  const MetricInfo& metric = *point.metric;
  out.set_name(metric.name.data(), metric.name.size());
  out.set_unit(metric.unit.data(), metric.unit.size());
  out.set_type(metric.type == MetricType::kLevel ? v1::MetricPoint::GAUGE : v1::MetricPoint::COUNTER);
  out.set_start_unix_nanos(start_ns);
  out.set_time_unix_nanos(end_ns);
  if (!metric.label.empty()) (*out.mutable_labels())[std::string(metric.label)] = point.label;
  if (point.pid != 0) (*out.mutable_labels())["pid"] = std::to_string(point.pid);
  out.set_value(point.value);
  return out;
}

}  // namespace

std::vector<v1::AgentMessage> metric_messages(const FinishedMetrics& metrics) {
  std::vector<v1::AgentMessage> messages;
  const std::int64_t start_ns = absl::ToUnixNanos(metrics.start);
  const std::int64_t end_ns = absl::ToUnixNanos(metrics.start + metrics.duration);
  std::size_t bytes = kMostMessageBytes;  // of the last message
  for (const MetricPoint& point : metrics.points) {
    v1::MetricPoint one = to_point(point, start_ns, end_ns);
    const std::size_t more = one.ByteSizeLong() + 8;  // with what says which field it is, and how long
    if (bytes + more > kMostMessageBytes ||
        messages.back().metrics().points_size() >= static_cast<int>(kMostMessagePoints)) {
      v1::Metrics* next = messages.emplace_back().mutable_metrics();
      next->mutable_attributes()->insert(metrics.attributes.begin(), metrics.attributes.end());
      bytes = next->ByteSizeLong() + 32;  // with the number that it gets
    }
    bytes += more;
    *messages.back().mutable_metrics()->add_points() = std::move(one);
  }
  return messages;
}

}  // namespace siprof::client
