// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/sqlite_reader.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "collector/store/kinds.h"
#include "collector/store/sqlite/counter_merger.h"
#include "collector/store/sqlite/stack_merger.h"

namespace siprof::collector::sqlite {
namespace {

constexpr int kMostTries = 3;
constexpr absl::Duration kRemovalTime = absl::Milliseconds(20);

bool matches(const CatalogView::Series& series, const Selection& selection) {
  if (series.kind != selection.kind) return false;
  return std::ranges::all_of(selection.matches, [&series](const auto& match) {
    const auto label = series.labels->find(match.first);
    return match.second.contains(label == series.labels->end() ? "" : label->second);
  });
}

int column_of(const CatalogView::Series& series, const std::string& type) {
  const auto found = std::ranges::find(series.types, type, &ValueType::type);
  return found == series.types.end() ? -1 : static_cast<int>(found - series.types.begin());
}

// A window longer than a step belongs to all steps that it covers, else a minute of one busy core would be
// six cores and five gaps. Each step gets its part by time; rounding the running sum keeps the total.
void spread(const DayProfile& profile, std::int64_t step_ns, std::map<std::int64_t, std::int64_t>& points) {
  const std::int64_t first = profile.start_ns / step_ns * step_ns;
  if (profile.duration_ns <= step_ns || profile.duration_ns > kLongestSpreadNs) {
    points[first] += profile.total;
    return;
  }
  const std::int64_t end = profile.start_ns + profile.duration_ns;
  std::int64_t given = 0;
  for (std::int64_t step = first; step < end; step += step_ns) {
    const std::int64_t covered = std::min(step + step_ns, end) - profile.start_ns;
    const auto due =
        static_cast<std::int64_t>(static_cast<__int128>(profile.total) * covered / profile.duration_ns);
    points[step] += due - given;
    given = due;
  }
}

void add_types(const std::vector<ValueType>& more, std::vector<ValueType>& types) {
  for (const ValueType& type : more)
    if (std::ranges::find(types, type) == types.end()) types.push_back(type);
}

}  // namespace

// What stacks() gathers while it walks the days.
struct SqliteReader::Merge {
  const std::vector<ValueType>& types;
  StackMerger stacks;
  CounterMerger counters;
  MergedStacks facts;  // of the profiles: number, period, times
};

absl::StatusOr<std::unique_ptr<SqliteReader>> SqliteReader::open(const std::string& dir, const Tier& finest) {
  Layout layout(dir);
  absl::StatusOr<std::unique_ptr<CatalogView>> view = CatalogView::open(layout.catalog());
  if (!view.ok()) return view.status();
  return std::unique_ptr<SqliteReader>(new SqliteReader(std::move(layout), finest, *std::move(view)));
}

absl::StatusOr<std::vector<DayPath>> SqliteReader::days(TimeRange range) const {
  absl::StatusOr<std::vector<DayPath>> days = layout_.days(finest_);
  if (!days.ok()) return days;
  std::erase_if(*days, [range](const DayPath& day) {
    return day.day < day_of(range.from_ns) || day.day > day_of(range.to_ns - 1);
  });
  return days;
}

// Names that were swept while a query ran belong to days that it has read: it has to begin anew.
// And a day's log is removed before the day, so that opening it just then is an error.
// An I/O error is no limit that this client has reached, as RESOURCE_EXHAUSTED would say.
absl::Status SqliteReader::unswept(const std::function<absl::Status()>& query) const {
  for (int tries = 0; tries < kMostTries; ++tries) {
    const absl::StatusOr<std::int64_t> before = generation();
    if (!before.ok()) return before.status();
    absl::Status status = query();
    if (absl::IsResourceExhausted(status)) status = absl::UnavailableError(status.message());
    const absl::StatusOr<std::int64_t> after = generation();
    if (!after.ok()) return after.status();
    const bool removing = absl::IsUnavailable(status) && tries + 1 < kMostTries;
    if (*before == *after && !removing) return status;
    if (removing) absl::SleepFor(kRemovalTime);
  }
  return absl::UnavailableError("old profiles are being removed: ask again");
}

absl::StatusOr<std::int64_t> SqliteReader::generation() const {
  const std::lock_guard lock(mutex_);
  if (absl::Status status = view_->update_series(); !status.ok()) return status;
  return view_->generation();
}

absl::Status SqliteReader::walk_ranges(
    TimeRange range, const std::function<void(const CatalogView::Series&, SeriesRange)>& visit) const {
  const absl::StatusOr<std::vector<DayPath>> days = this->days(range);
  if (!days.ok()) return days.status();
  std::vector<SeriesRange> found;
  for (const DayPath& day : *days) {
    absl::StatusOr<DayReader> reader = DayReader::open(day.path);
    if (absl::IsNotFound(reader.status())) continue;
    if (!reader.ok()) return reader.status();
    const auto keep = [&](const SeriesRange& series) {
      if (series.first_ns < range.to_ns && series.last_ns >= range.from_ns) found.push_back(series);
    };
    if (absl::Status status = reader->for_each_series(keep); !status.ok()) return status;
    if (absl::Status status = reader->for_each_metric_series(keep); !status.ok()) return status;
  }
  // After the days, so that every series in them is known.
  const std::lock_guard lock(mutex_);
  if (absl::Status status = view_->update_series(); !status.ok()) return status;
  for (const SeriesRange& at : found) {
    if (!view_->series().contains(at.series))
      return absl::DataLossError("a day's file names a series that isn't in the catalogue");
    visit(view_->series()[at.series], at);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ServiceInfo>> SqliteReader::services() const {
  return answer_unswept<std::vector<ServiceInfo>>([&] { return read_services(); });
}

absl::StatusOr<std::vector<ServiceInfo>> SqliteReader::read_services() const {
  std::map<std::string, ServiceInfo> by_name;
  std::map<std::string, std::map<std::string, std::vector<ValueType>>> types;
  absl::Status status = walk_ranges({}, [&](const CatalogView::Series& series, SeriesRange at) {
    const std::string& name = view_->services()[series.service];
    ServiceInfo& info =
        by_name.try_emplace(name, ServiceInfo{name, at.first_ns, at.last_ns, {}, {}, {}}).first->second;
    info.first_ns = std::min(info.first_ns, at.first_ns);
    info.last_ns = std::max(info.last_ns, at.last_ns);
    const auto keep = [&series](const char* label, std::set<std::string>& values) {
      const auto found = series.labels->find(label);
      if (found != series.labels->end()) values.insert(found->second);
    };
    keep("service.version", info.versions);
    keep("host.name", info.hosts);
    if (series.kind != kMetricsKind) add_types(series.types, types[name][series.kind]);
  });
  if (!status.ok()) return status;
  std::vector<ServiceInfo> services;
  for (auto& [name, info] : by_name) {
    for (auto& [kind, kind_types] : types[name]) info.kinds.push_back({kind, std::move(kind_types)});
    services.push_back(std::move(info));
  }
  return services;
}

absl::StatusOr<std::map<std::string, std::set<std::string>>> SqliteReader::labels(const std::string& service,
                                                                                  TimeRange range) const {
  using Values = std::map<std::string, std::set<std::string>>;
  return answer_unswept<Values>([&] { return read_labels(service, range); });
}

absl::StatusOr<std::map<std::string, std::set<std::string>>> SqliteReader::read_labels(
    const std::string& service, TimeRange range) const {
  std::map<std::string, std::set<std::string>> labels;
  absl::Status status = walk_ranges(range, [&](const CatalogView::Series& series, SeriesRange) {
    if (!service.empty() && view_->services()[series.service] != service) return;
    for (const auto& [name, value] : *series.labels) labels[name].insert(value);
  });
  if (!status.ok()) return status;
  return labels;
}

absl::StatusOr<SqliteReader::Chosen> SqliteReader::choose(const Selection& selection) const {
  const std::lock_guard lock(mutex_);
  if (absl::Status status = view_->update_series(); !status.ok()) return status;
  const std::int64_t service = view_->service_id(selection.service);
  if (service == 0) return absl::NotFoundError("there is no service \"" + selection.service + "\"");
  Chosen chosen;
  for (const auto& [id, series] : view_->series())
    if (series.service == service && matches(series, selection)) chosen.emplace(id, series);
  return chosen;
}

absl::Status SqliteReader::walk(
    const Chosen& chosen, const Selection& selection,
    const std::function<absl::Status(DayReader&, const CatalogView::Series&)>& visit) const {
  const TimeRange range = selection.range;
  const absl::StatusOr<std::vector<DayPath>> days = this->days(range);
  if (!days.ok()) return days.status();
  for (const DayPath& day : *days) {
    absl::StatusOr<DayReader> reader = DayReader::open(day.path);
    if (absl::IsNotFound(reader.status())) continue;
    if (!reader.ok()) return reader.status();
    std::vector<std::int64_t> present;
    absl::Status status = reader->for_each_series([&](const SeriesRange& at) {
      if (at.first_ns < range.to_ns && at.last_ns >= range.from_ns && chosen.contains(at.series))
        present.push_back(at.series);
    });
    if (!status.ok()) return status;
    for (const std::int64_t id : present)
      if (status = visit(*reader, chosen.at(id)); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<SeriesTotals> SqliteReader::totals(const Selection& selection, const std::string& type,
                                                  std::int64_t step_ns, const std::string& by) const {
  return answer_unswept<SeriesTotals>([&] { return read_totals(selection, type, step_ns, by); });
}

absl::StatusOr<SeriesTotals> SqliteReader::read_totals(const Selection& selection, const std::string& type,
                                                       std::int64_t step_ns, const std::string& by) const {
  const absl::StatusOr<Chosen> chosen = choose(selection);
  if (!chosen.ok()) return chosen.status();
  SeriesTotals totals;
  DeadlineCheck deadline(selection.deadline);
  LevelSteps levels(step_ns);
  absl::Status status = walk(*chosen, selection, [&](DayReader& day, const CatalogView::Series& series) {
    const int column = column_of(series, type);
    if (column < 0) return absl::OkStatus();
    totals.unit = series.types[static_cast<std::size_t>(column)].unit;
    const auto label = by.empty() ? series.labels->end() : series.labels->find(by);
    const std::string name = label == series.labels->end() ? "" : label->second;
    std::map<std::int64_t, std::int64_t>& points = totals.points[name];
    return day.for_each_total(series.id, selection.range, column, [&](const DayProfile& profile) {
      if (is_level(type))
        levels.add(name, profile);
      else
        spread(profile, step_ns, points);
      return deadline();
    });
  });
  if (!status.ok()) return status;
  levels.add_to(totals.points);
  return totals;
}

absl::StatusOr<LevelWindows> SqliteReader::count_windows(const Chosen& chosen, const Selection& selection,
                                                         DeadlineCheck& deadline) const {
  LevelWindows windows;
  absl::Status status = walk(chosen, selection, [&](DayReader& day, const CatalogView::Series& series) {
    return day.for_each_total(series.id, selection.range, /*type=*/0, [&](const DayProfile& profile) {
      windows.count(profile);
      return deadline();
    });
  });
  if (!status.ok()) return status;
  return windows;
}

absl::Status SqliteReader::merge(const Chosen& chosen, const Selection& selection, Merge& into) const {
  DeadlineCheck deadline(selection.deadline);
  LevelWindows windows;
  if (std::ranges::any_of(into.types, [](const ValueType& t) { return is_level(t.type); })) {
    absl::StatusOr<LevelWindows> counted = count_windows(chosen, selection, deadline);
    if (!counted.ok()) return counted.status();
    windows = *std::move(counted);
  }
  const Columns wanted = selection.counters ? Columns::kWithCounters : Columns::kStacks;
  return walk(chosen, selection, [&](DayReader& day, const CatalogView::Series& series) {
    std::vector<int> columns;
    for (const ValueType& t : into.types) columns.push_back(column_of(series, t.type));
    into.facts.period_type = series.period_type;
    return day.for_each_stacks(series.id, selection.range, wanted, [&](const DayProfile& profile) {
      absl::Status added = into.stacks.add(profile.stacks, columns, windows.share(profile));
      if (added.ok() && selection.counters) added = into.counters.add(profile.counters, profile.start_ns);
      if (!added.ok()) return added;
      MergedStacks& facts = into.facts;
      if (facts.profiles++ == 0 || profile.start_ns < facts.first_ns) facts.first_ns = profile.start_ns;
      facts.end_ns = std::max(facts.end_ns, profile.start_ns + profile.duration_ns);
      facts.period = profile.period;
      return deadline();
    });
  });
}

absl::StatusOr<MergedStacks> SqliteReader::stacks(const Selection& selection, const std::string& type) const {
  return answer_unswept<MergedStacks>([&] { return read_stacks(selection, type); });
}

absl::StatusOr<MergedStacks> SqliteReader::read_stacks(const Selection& selection,
                                                       const std::string& type) const {
  const absl::StatusOr<Chosen> chosen = choose(selection);
  if (!chosen.ok()) return chosen.status();
  std::vector<ValueType> types;
  for (const auto& [id, series] : *chosen) add_types(series.types, types);
  if (!type.empty()) std::erase_if(types, [&type](const ValueType& t) { return t.type != type; });

  const std::int64_t service = chosen->empty() ? 0 : chosen->begin()->second.service;
  const auto node_count = [this, service](bool update) -> absl::StatusOr<std::size_t> {
    const std::lock_guard lock(mutex_);
    if (update || view_->nodes(service).empty())
      if (absl::Status status = view_->update_stacks(service); !status.ok()) return status;
    return view_->nodes(service).size();
  };
  Merge merge{types, StackMerger(types, node_count), {}, {}};
  if (absl::Status status = this->merge(*chosen, selection, merge); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  // The nodes were read before the frames and names of the newest profiles.
  if (service != 0)
    if (absl::Status updated = view_->update_stacks(service); !updated.ok()) return updated;
  MergedStacks merged = merge.stacks.finish(service, *view_);
  absl::StatusOr<std::map<std::string, std::uint64_t>> counters = merge.counters.finish(*view_);
  if (!counters.ok()) return counters.status();
  merged.counters = *std::move(counters);
  merged.period_type = merge.facts.period_type;
  merged.period = merge.facts.period;
  merged.profiles = merge.facts.profiles;
  merged.first_ns = merge.facts.first_ns;
  merged.end_ns = merge.facts.end_ns;
  return merged;
}

}  // namespace siprof::collector::sqlite
