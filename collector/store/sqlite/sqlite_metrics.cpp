// SPDX-License-Identifier: Apache-2.0
// The part of SqliteReader that reads runtime metrics.
#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "collector/store/sqlite/metric_codec.h"
#include "collector/store/sqlite/sqlite_reader.h"

namespace siprof::collector::sqlite {
namespace {

constexpr std::size_t kMaxWindows = 4'000'000;  // 24 bytes each

// Matches of labels that the series' attributes decide; false: the series is out whatever its points are.
bool attributes_match(const CatalogView::Labels& attributes, const Matches& matches) {
  return std::ranges::all_of(matches, [&attributes](const auto& match) {
    const auto attribute = attributes.find(match.first);
    return attribute == attributes.end() || match.second.contains(attribute->second);
  });
}

// Clocks that are set make windows of one sender overlap, which would count the same process twice: the later
// one then begins where the one before ended.
class Sender {
 public:
  // Unset: all of the window was covered before. In the order of their starts.
  std::optional<std::int64_t> begin_of(const DayMetrics& window) {
    const std::int64_t end = window.start_ns + window.duration_ns;
    if (window.start_ns != start_ns_) {  // else a further message of the same window
      begin_ns_ = std::max(window.start_ns, end_ns_);
      start_ns_ = window.start_ns;
    }
    end_ns_ = std::max(end_ns_, end);
    return begin_ns_ < end ? std::optional(begin_ns_) : std::nullopt;
  }

 private:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min();
  std::int64_t start_ns_ = kNever, begin_ns_ = kNever, end_ns_ = kNever;
};

// Gathers one metric's windows; a name can stand for several metrics (units), of which the latest is the
// answer.
class HistoryReader {
 public:
  using Text = absl::FunctionRef<absl::StatusOr<std::string>(std::int64_t)>;
  HistoryReader(const Matches& matches, const std::string& by, absl::Time deadline)
      : matches_(matches), by_(by), deadline_(deadline) {}

  // A series of one day; its windows follow by start.
  void begin_series(const CatalogView::Series& series) {
    series_ = series.id;
    attributes_ = series.labels.get();
    roles_.clear();
  }
  absl::Status add(const DayMetrics& window, const std::map<std::int64_t, MetricName>& wanted, Text text);
  MetricHistory finish();

 private:
  // What a set of labels means for the query.
  struct Role {
    bool matches = false;
    std::string line;
  };
  struct History {
    MetricHistory found;
    std::int64_t latest_ns = 0;
  };

  absl::StatusOr<const Role*> role_of(const MetricSet& set, Text text);
  absl::StatusOr<CatalogView::Labels> labels_of(const MetricSet& set, Text text) const;
  absl::Status keep(const DayMetrics& window, const MetricName& metric, std::map<std::string, double> lines,
                    std::optional<std::int64_t> begin_ns);

  const Matches& matches_;
  const std::string& by_;
  DeadlineCheck deadline_;
  std::int64_t series_ = 0;
  const CatalogView::Labels* attributes_ = nullptr;
  std::map<std::vector<std::pair<std::int64_t, std::int64_t>>, Role> roles_;
  absl::flat_hash_map<std::pair<std::int64_t, std::int64_t>, Sender> senders_;  // by series and agent
  MetricDecoder decoder_;
  std::map<MetricName, History> histories_;
  std::size_t windows_ = 0;
};

absl::StatusOr<CatalogView::Labels> HistoryReader::labels_of(const MetricSet& set, Text text) const {
  CatalogView::Labels labels;
  for (const auto& [name, value] : set.labels) {
    absl::StatusOr<std::string> name_text = text(name);
    if (!name_text.ok()) return name_text.status();
    absl::StatusOr<std::string> value_text = text(value);
    if (!value_text.ok()) return value_text.status();
    labels.emplace(*std::move(name_text), *std::move(value_text));
  }
  return labels;
}

absl::StatusOr<const HistoryReader::Role*> HistoryReader::role_of(const MetricSet& set, Text text) {
  if (const auto known = roles_.find(set.labels); known != roles_.end()) return &known->second;
  const absl::StatusOr<CatalogView::Labels> labels = labels_of(set, text);
  if (!labels.ok()) return labels.status();
  const auto value_of = [&](const std::string& name) -> std::string {
    if (const auto found = attributes_->find(name); found != attributes_->end()) return found->second;
    const auto found = labels->find(name);
    return found == labels->end() ? "" : found->second;
  };
  const bool matches = std::ranges::all_of(
      matches_, [&](const auto& match) { return match.second.contains(value_of(match.first)); });
  return &roles_.emplace(set.labels, Role{matches, by_.empty() ? "" : value_of(by_)}).first->second;
}

absl::Status HistoryReader::add(const DayMetrics& window, const std::map<std::int64_t, MetricName>& wanted,
                                Text text) {
  std::map<std::int64_t, std::map<std::string, double>> sums;  // by metric and line
  absl::Status status = decoder_.decode(window.points, [&](const MetricSet& set) {
    const Role* role = nullptr;
    for (const auto& [metric, value] : set.points) {
      if (!wanted.contains(metric)) continue;
      if (role == nullptr) {
        const absl::StatusOr<const Role*> found = role_of(set, text);
        if (!found.ok()) return found.status();
        role = *found;
      }
      if (role->matches) sums[metric][role->line] += value;
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (window.duration_ns <= 0) return absl::DataLossError("a stored window of metrics has no length");
  const std::optional<std::int64_t> begin = senders_[{series_, window.agent}].begin_of(window);
  for (auto& [metric, lines] : sums)
    if (status = keep(window, wanted.at(metric), std::move(lines), begin); !status.ok()) return status;
  return deadline_();
}

absl::Status HistoryReader::keep(const DayMetrics& window, const MetricName& metric,
                                 std::map<std::string, double> lines, std::optional<std::int64_t> begin_ns) {
  const bool is_level = metric.type == MetricType::kGauge;
  History& history = histories_[metric];
  history.latest_ns = std::max(history.latest_ns, window.start_ns);
  if (is_level && !begin_ns) return absl::OkStatus();
  windows_ += lines.size();
  if (windows_ > kMaxWindows)
    return absl::InvalidArgumentError(absl::StrCat("that reads more than ", kMaxWindows,
                                                   " values: choose a shorter range or a label for `by` "
                                                   "with fewer values"));
  // What was counted was counted, whatever the clocks did.
  const std::int64_t start = is_level ? *begin_ns : window.start_ns;
  for (const auto& [line, value] : lines)
    history.found.lines[line].push_back({start, window.start_ns + window.duration_ns, value});
  return absl::OkStatus();
}

MetricHistory HistoryReader::finish() {
  const auto later = [](const auto& a, const auto& b) { return a.second.latest_ns < b.second.latest_ns; };
  const auto latest = std::ranges::max_element(histories_, later);
  if (latest == histories_.end()) return {};
  latest->second.found.metric = latest->first;
  return std::move(latest->second.found);
}

}  // namespace

absl::StatusOr<SqliteReader::Chosen> SqliteReader::choose_metrics(const Selection& selection) const {
  const std::lock_guard lock(mutex_);
  if (absl::Status status = view_->update_series(); !status.ok()) return status;
  const std::int64_t service = view_->service_id(selection.service);
  if (service == 0) return absl::NotFoundError("there is no service \"" + selection.service + "\"");
  Chosen chosen;
  for (const auto& [id, series] : view_->series())
    if (series.service == service && series.kind == kMetricsKind &&
        attributes_match(*series.labels, selection.matches))
      chosen.emplace(id, series);
  return chosen;
}

// The strings of a day that has just been opened may be newer than the view.
absl::StatusOr<std::string> SqliteReader::string_of(std::int64_t id) const {
  const std::lock_guard lock(mutex_);
  if (!view_->strings().contains(id))
    if (absl::Status status = view_->update_series(); !status.ok()) return status;
  if (!view_->strings().contains(id))
    return absl::DataLossError("stored metrics have a name that isn't in the catalogue");
  return view_->strings()[id];
}

absl::Status SqliteReader::walk_metrics(
    const Chosen& chosen, const Selection& selection,
    const std::function<absl::Status(DayReader&, const CatalogView::Series&,
                                     const std::vector<std::int64_t>&)>& visit) const {
  const TimeRange range = selection.range;
  const absl::StatusOr<std::vector<DayPath>> days = this->days(range);
  if (!days.ok()) return days.status();
  for (const DayPath& day : *days) {
    absl::StatusOr<DayReader> reader = DayReader::open(day.path);
    if (absl::IsNotFound(reader.status())) continue;
    if (!reader.ok()) return reader.status();
    std::map<std::int64_t, std::vector<std::int64_t>> present;  // series to its metrics
    absl::Status status = reader->for_each_metric_series([&](const SeriesRange& at) {
      if (at.first_ns < range.to_ns && at.last_ns >= range.from_ns && chosen.contains(at.series))
        present.try_emplace(at.series);
    });
    if (!status.ok()) return status;
    status = reader->for_each_metric_name([&present](std::int64_t series, std::int64_t metric) {
      if (const auto found = present.find(series); found != present.end()) found->second.push_back(metric);
    });
    if (!status.ok()) return status;
    for (const auto& [series, metrics] : present)
      if (status = visit(*reader, chosen.at(series), metrics); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<MetricName>> SqliteReader::metric_names(const Selection& selection) const {
  return answer_unswept<std::vector<MetricName>>([&] { return read_metric_names(selection); });
}

absl::StatusOr<std::vector<MetricName>> SqliteReader::read_metric_names(const Selection& selection) const {
  const absl::StatusOr<Chosen> chosen = choose_metrics(selection);
  if (!chosen.ok()) return chosen.status();
  std::set<std::int64_t> ids;
  absl::Status status = walk_metrics(*chosen, selection, [&ids](auto&, const auto&, const auto& metrics) {
    ids.insert(metrics.begin(), metrics.end());
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  std::set<MetricName> names;
  for (const std::int64_t id : ids) {
    const absl::StatusOr<std::string> key = string_of(id);
    if (!key.ok()) return key.status();
    if (std::optional<MetricName> name = parse_metric_key(*key)) names.insert(*std::move(name));
  }
  return std::vector<MetricName>(names.begin(), names.end());
}

absl::StatusOr<MetricHistory> SqliteReader::metric_history(const Selection& selection,
                                                           const std::string& name,
                                                           const std::string& by) const {
  return answer_unswept<MetricHistory>([&] { return read_metric_history(selection, name, by); });
}

absl::StatusOr<MetricHistory> SqliteReader::read_metric_history(const Selection& selection,
                                                                const std::string& name,
                                                                const std::string& by) const {
  const absl::StatusOr<Chosen> chosen = choose_metrics(selection);
  if (!chosen.ok()) return chosen.status();
  HistoryReader history(selection.matches, by, selection.deadline);
  const auto text = [this](std::int64_t id) { return string_of(id); };
  absl::Status status =
      walk_metrics(*chosen, selection, [&](DayReader& day, const auto& series, const auto& ids) {
        std::map<std::int64_t, MetricName> wanted;
        for (const std::int64_t id : ids) {
          const absl::StatusOr<std::string> key = string_of(id);
          if (!key.ok()) return key.status();
          if (std::optional<MetricName> metric = parse_metric_key(*key); metric && metric->name == name)
            wanted.emplace(id, *std::move(metric));
        }
        if (wanted.empty()) return absl::OkStatus();
        history.begin_series(series);
        return day.for_each_metrics(series.id, selection.range, [&](const DayMetrics& window) {
          return history.add(window, wanted, text);
        });
      });
  if (!status.ok()) return status;
  return history.finish();
}

}  // namespace siprof::collector::sqlite
