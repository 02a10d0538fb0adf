// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/metrics_intake.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "collector/ingest/attribute_rules.h"
#include "collector/ingest/pprof_reader.h"
#include "collector/ingest/utf8.h"
#include "collector/ingest/wire_cursor.h"

namespace siprof::collector {
namespace {

// OpenTelemetry's for instruments.
constexpr std::size_t kMaxNameBytes = 255;
constexpr std::size_t kMaxUnitBytes = 63;
constexpr int kMaxLabels = 16;
constexpr std::size_t kMaxLabelNameBytes = 128;
constexpr std::size_t kMaxLabelValueBytes = 512;
// Far above any count of bytes or nanoseconds, and so far below the largest double that no sum becomes
// infinite.
constexpr double kMaxValue = 1e30;

absl::Status wrong(const std::string& what) {
  return absl::InvalidArgumentError(what);
}

absl::Status wrong_metric(const v1::MetricPoint& point, absl::string_view what) {
  return wrong(absl::StrCat("metric ", point.name(), " ", what));
}

bool is_name(const std::string& name) {
  const auto allowed = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' || c == '/';
  };
  return !name.empty() && name.size() <= kMaxNameBytes &&
         absl::ascii_isalpha(static_cast<unsigned char>(name.front())) && std::ranges::all_of(name, allowed);
}

// Of UCUM, as OpenTelemetry writes it: By, s, 1, {fault}.
bool is_unit(const std::string& unit) {
  return unit.size() <= kMaxUnitBytes &&
         std::ranges::all_of(unit, [](char c) { return c > ' ' && c < 0x7f; });
}

absl::Status check_labels(const v1::MetricPoint& point) {
  if (point.labels_size() > kMaxLabels)
    return wrong_metric(point, absl::StrCat("has more than ", kMaxLabels, " labels"));
  for (const auto& [name, value] : point.labels()) {
    if (name.empty() || name.size() > kMaxLabelNameBytes || value.size() > kMaxLabelValueBytes)
      return wrong_metric(point,
                          absl::StrCat("has a label with a name of 0 or more than ", kMaxLabelNameBytes,
                                       " bytes, or a value of more than ", kMaxLabelValueBytes));
    if (!is_utf8(name) || !is_utf8(value)) return wrong_metric(point, "has a label that isn't UTF-8");
  }
  return absl::OkStatus();
}

absl::Status check_point(const v1::MetricPoint& point) {
  if (!is_name(point.name()))
    return wrong(absl::StrCat("a metric's name is a letter and up to ", kMaxNameBytes - 1,
                              " letters, digits and _ . - /, not '",
                              absl::Utf8SafeCHexEscape(point.name().substr(0, 64)), "'"));
  if (!is_unit(point.unit()))
    return wrong_metric(point, absl::StrCat("has a unit that isn't up to ", kMaxUnitBytes,
                                            " printable ASCII characters without spaces"));
  if (point.type() != v1::MetricPoint::GAUGE && point.type() != v1::MetricPoint::COUNTER)
    return wrong_metric(point, "is neither gauge nor counter");
  if (!std::isfinite(point.value()) || std::abs(point.value()) > kMaxValue)
    return wrong_metric(point, "has no finite value of at most 1e30");
  if (point.type() == v1::MetricPoint::COUNTER && point.value() < 0)
    return wrong_metric(point, "is a counter with a negative increase");
  return check_labels(point);
}

// All points are of the one window that the message is about.
absl::Status check_window(const v1::Metrics& message, const PprofLimits& limits, absl::Time now) {
  const v1::MetricPoint& first = message.points(0);
  const auto same = [&first](const v1::MetricPoint& point) {
    return point.start_unix_nanos() == first.start_unix_nanos() &&
           point.time_unix_nanos() == first.time_unix_nanos();
  };
  if (!std::ranges::all_of(message.points(), same))
    return wrong("points of one message have the same start_unix_nanos and time_unix_nanos");
  const absl::Time start = absl::FromUnixNanos(first.start_unix_nanos());
  const absl::Time end = absl::FromUnixNanos(first.time_unix_nanos());
  if (end <= start || end - start > kMaxWindow)
    return wrong(absl::StrCat("time_unix_nanos has to be after start_unix_nanos, by at most ",
                              absl::FormatDuration(kMaxWindow)));
  return check_time("start_unix_nanos", start, limits, now);
}

absl::Status check_envelope(const v1::Metrics& message) {
  if (message.sequence() == 0) return wrong("sequence numbers start at 1");
  if (message.ByteSizeLong() > kMaxMetricsBytes)
    return absl::ResourceExhaustedError(
        absl::StrCat("metrics of more than ", kMaxMetricsBytes, " bytes: split the message"));
  if (message.points_size() > kMaxMetricPoints)
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", kMaxMetricPoints, " points: split the message"));
  if (message.points_size() == 0) return wrong("metrics without a point");
  return check_attributes(message.attributes());
}

MetricPoint made_of(const v1::MetricPoint& point) {
  const bool gauge = point.type() == v1::MetricPoint::GAUGE;
  return {.metric = {point.name(), point.unit(), gauge ? MetricType::kGauge : MetricType::kCounter},
          .labels = {point.labels().begin(), point.labels().end()},
          .value = point.value()};
}

// A second one would be added to the first; a second unit can't be.
absl::Status check_distinct(const std::vector<MetricPoint>& points) {
  absl::flat_hash_map<std::string_view, const MetricName*> metrics;
  std::set<std::pair<std::string_view, const std::map<std::string, std::string>*>,
           decltype([](const auto& a, const auto& b) {
             return a.first != b.first ? a.first < b.first : *a.second < *b.second;
           })>
      seen;
  for (const MetricPoint& point : points) {
    const std::string& name = point.metric.name;
    if (*metrics.try_emplace(name, &point.metric).first->second != point.metric)
      return wrong(absl::StrCat("metric ", name, " has two units or types"));
    if (!seen.emplace(name, &point.labels).second)
      return wrong(absl::StrCat("metric ", name, " comes twice with the same labels"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<IncomingMetrics> take_in(const v1::Metrics& message, const std::string& agent_id,
                                        const PprofLimits& limits, absl::Time now) {
  if (auto status = check_envelope(message); !status.ok()) return status;
  if (auto status = check_window(message, limits, now); !status.ok()) return status;
  const v1::MetricPoint& first = message.points(0);
  IncomingMetrics incoming{.agent_id = agent_id,
                           .sequence = message.sequence(),
                           .start_unix_ns = first.start_unix_nanos(),
                           .duration_ns = first.time_unix_nanos() - first.start_unix_nanos(),
                           .attributes = {message.attributes().begin(), message.attributes().end()},
                           .points = {}};
  incoming.points.reserve(static_cast<std::size_t>(message.points_size()));
  for (const v1::MetricPoint& point : message.points()) {
    if (auto status = check_point(point); !status.ok()) return status;
    incoming.points.push_back(made_of(point));
  }
  if (auto status = check_distinct(incoming.points); !status.ok()) return status;
  return incoming;
}

std::optional<std::uint64_t> sequence_of_metrics(std::string_view message) {
  std::optional<std::uint64_t> sequence;
  WireCursor outer(message);
  while (outer.next()) {
    if (outer.field() != v1::AgentMessage::kMetricsFieldNumber || !outer.has_bytes()) return std::nullopt;
    WireCursor metrics(outer.bytes());
    while (metrics.next())
      if (metrics.field() == v1::Metrics::kSequenceFieldNumber && metrics.has_number())
        sequence = metrics.number();
    if (metrics.malformed()) return std::nullopt;
  }
  return outer.malformed() ? std::nullopt : sequence;
}

}  // namespace siprof::collector
