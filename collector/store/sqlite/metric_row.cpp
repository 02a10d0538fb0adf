// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/metric_row.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace siprof::collector::sqlite {
namespace {

constexpr char kGauge[] = "gauge";
constexpr char kCounter[] = "counter";

absl::Status broken(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("the metrics are inconsistent: ", what));
}

// Ingest has checked the points; what would be somebody else's metric for ever is checked again.
absl::Status check(const MetricPoint& point) {
  const auto breaks = [](const std::string& text) { return text.find('\n') != std::string::npos; };
  if (point.metric.name.empty() || breaks(point.metric.name) || breaks(point.metric.unit))
    return broken("a name or unit is empty or has more than one line");
  if (!std::isfinite(point.value)) return broken("a value isn't finite");
  return absl::OkStatus();
}

absl::Status set_identity(const IncomingMetrics& incoming, CatalogWriter& catalog, MetricRow& row) {
  const auto name = incoming.attributes.find("service.name");
  if (name == incoming.attributes.end() || name->second.empty()) return broken("they have no service.name");
  const absl::StatusOr<Id> service = catalog.service(name->second);
  if (!service.ok()) return service.status();
  const absl::StatusOr<Id> labels = catalog.label_set(incoming.attributes);
  if (!labels.ok()) return labels.status();
  const absl::StatusOr<Id> series = catalog.series(*service, *labels, kMetricsKind, "");
  if (!series.ok()) return series.status();
  const absl::StatusOr<Id> agent = catalog.agent(incoming.agent_id);
  if (!agent.ok()) return agent.status();
  row.series = *series;
  row.agent = *agent;
  row.sequence = static_cast<std::int64_t>(incoming.sequence);
  row.start_ns = incoming.start_unix_ns;
  row.duration_ns = incoming.duration_ns;
  return absl::OkStatus();
}

absl::Status intern_labels(const std::map<std::string, std::string>& labels, CatalogWriter& catalog,
                           MetricSet& set, MetricRow& row) {
  for (const auto& [name, value] : labels) {
    const absl::StatusOr<Id> name_id = catalog.string(name);
    if (!name_id.ok()) return name_id.status();
    const absl::StatusOr<Id> value_id = catalog.string(value);
    if (!value_id.ok()) return value_id.status();
    set.labels.emplace_back(*name_id, *value_id);
    row.label_texts.insert(row.label_texts.end(), {*name_id, *value_id});
  }
  return absl::OkStatus();
}

// Sets in the order of their labels.
absl::StatusOr<std::vector<MetricSet>> make_sets(const IncomingMetrics& incoming, CatalogWriter& catalog,
                                                 MetricRow& row) {
  std::map<MetricName, Id> known;
  std::map<std::map<std::string, std::string>, std::vector<std::pair<Id, double>>> points;
  for (const MetricPoint& point : incoming.points) {
    if (absl::Status status = check(point); !status.ok()) return status;
    const auto [slot, fresh] = known.try_emplace(point.metric, 0);
    if (fresh) {
      const absl::StatusOr<Id> id = catalog.string(metric_key(point.metric));
      if (!id.ok()) return id.status();
      slot->second = *id;
      row.metrics.push_back(*id);
    }
    points[point.labels].emplace_back(slot->second, point.value);
  }
  std::vector<MetricSet> sets;
  for (auto& [labels, of_them] : points) {
    MetricSet& set = sets.emplace_back();
    set.points = std::move(of_them);
    if (absl::Status status = intern_labels(labels, catalog, set, row); !status.ok()) return status;
  }
  return sets;
}

void keep_each_once(std::vector<Id>& ids) {
  std::ranges::sort(ids);
  const auto rest = std::ranges::unique(ids);
  ids.erase(rest.begin(), rest.end());
}

}  // namespace

std::string metric_key(const MetricName& metric) {
  return absl::StrCat(metric.type == MetricType::kGauge ? kGauge : kCounter, "\n", metric.name, "\n",
                      metric.unit);
}

std::optional<MetricName> parse_metric_key(absl::string_view key) {
  const std::vector<std::string> parts = absl::StrSplit(key, '\n');
  if (parts.size() != 3 || (parts[0] != kGauge && parts[0] != kCounter)) return std::nullopt;
  return MetricName{parts[1], parts[2], parts[0] == kGauge ? MetricType::kGauge : MetricType::kCounter};
}

absl::StatusOr<MetricRow> make_row(const IncomingMetrics& incoming, CatalogWriter& catalog,
                                   MetricEncoder& encoder) {
  MetricRow row;
  if (absl::Status status = set_identity(incoming, catalog, row); !status.ok()) return status;
  const absl::StatusOr<std::vector<MetricSet>> sets = make_sets(incoming, catalog, row);
  if (!sets.ok()) return sets.status();
  row.points = encoder.encode(*sets);
  keep_each_once(row.metrics);
  keep_each_once(row.label_texts);
  return row;
}

}  // namespace siprof::collector::sqlite
