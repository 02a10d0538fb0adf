// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/day_reader.h"

#include <unistd.h>

#include <array>

#include "absl/strings/str_cat.h"

namespace siprof::collector::sqlite {

absl::StatusOr<DayReader> DayReader::open(const std::string& path) {
  absl::StatusOr<Database> db = Database::open(path, Open::kReader);
  if (!db.ok()) return ::access(path.c_str(), F_OK) != 0 ? absl::NotFoundError(path) : db.status();
  // The writer makes the file first and its tables, with the version, in a transaction after that: in
  // between there is nothing in it.
  const absl::StatusOr<std::int64_t> version = db->query_integer("PRAGMA user_version");
  if (!version.ok()) return version.status();
  if (*version == 0) return absl::NotFoundError(path);
  const absl::StatusOr<std::int64_t> metrics =
      db->query_integer("SELECT count(*) FROM sqlite_master WHERE name='metrics'");
  if (!metrics.ok()) return metrics.status();
  return DayReader(*std::move(db), *metrics > 0);
}

absl::Status DayReader::rows(absl::string_view sql, std::span<const std::int64_t> bound,
                             const std::function<absl::Status(Statement&)>& visit) {
  absl::StatusOr<Statement> statement = db_.prepare(sql);
  if (!statement.ok()) return statement.status();
  for (std::size_t i = 0; i < bound.size(); ++i) statement->bind(static_cast<int>(i) + 1, bound[i]);
  while (true) {
    const absl::StatusOr<bool> row = statement->step();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    if (absl::Status status = visit(*statement); !status.ok()) return status;
  }
}

absl::Status DayReader::ranges(absl::string_view sql, const std::function<void(const SeriesRange&)>& visit) {
  return rows(sql, {}, [&visit](Statement& row) {
    visit({row.integer(0), row.integer(1), row.integer(2)});
    return absl::OkStatus();
  });
}

absl::Status DayReader::for_each_series(const std::function<void(const SeriesRange&)>& visit) {
  return ranges("SELECT series_id,first_ns,last_ns FROM series_range", visit);
}

absl::Status DayReader::for_each_metric_series(const std::function<void(const SeriesRange&)>& visit) {
  if (!has_metrics_) return absl::OkStatus();
  return ranges("SELECT series_id,first_ns,last_ns FROM metric_range", visit);
}

absl::Status DayReader::for_each_metric_name(
    const std::function<void(std::int64_t series, std::int64_t metric)>& visit) {
  if (!has_metrics_) return absl::OkStatus();
  return rows("SELECT series_id,metric FROM metric_name", {}, [&visit](Statement& row) {
    visit(row.integer(0), row.integer(1));
    return absl::OkStatus();
  });
}

absl::Status DayReader::for_each_metrics(std::int64_t series, TimeRange range,
                                         const std::function<absl::Status(const DayMetrics&)>& visit) {
  if (!has_metrics_) return absl::OkStatus();
  return rows(
      "SELECT start_ns,agent_id,duration_ns,points FROM metrics WHERE series_id=? AND start_ns>=? AND "
      "start_ns<? ORDER BY start_ns",
      std::array{series, range.from_ns, range.to_ns}, [&visit](Statement& row) {
        return visit({row.integer(0), row.integer(1), row.integer(2), row.text(3)});
      });
}

absl::Status DayReader::walk(absl::string_view sql, std::int64_t series, TimeRange range,
                             const std::function<absl::Status(Statement&, DayProfile&)>& visit) {
  return rows(sql, std::array{series, range.from_ns, range.to_ns}, [&visit](Statement& row) {
    DayProfile profile;
    profile.start_ns = row.integer(0);
    profile.agent = row.integer(1);
    profile.duration_ns = row.integer(2);
    profile.period = row.integer(3);
    return visit(row, profile);
  });
}

absl::Status DayReader::for_each_total(std::int64_t series, TimeRange range, int type,
                                       const std::function<absl::Status(const DayProfile&)>& visit) {
  const std::string sql =
      absl::StrCat("SELECT start_ns,agent_id,duration_ns,period,total_", type,
                   " FROM profile WHERE series_id=? AND start_ns>=? AND start_ns<? ORDER BY start_ns");
  return walk(sql, series, range, [&visit](Statement& row, DayProfile& profile) {
    profile.total = row.integer(4);
    return visit(profile);
  });
}

absl::Status DayReader::for_each_stacks(std::int64_t series, TimeRange range, Columns columns,
                                        const std::function<absl::Status(const DayProfile&)>& visit) {
  const bool counters = columns == Columns::kWithCounters;
  const std::string sql = absl::StrCat(
      "SELECT start_ns,agent_id,duration_ns,period,stacks", counters ? ",counters" : "",
      " FROM profile JOIN body ON body.id=body_id WHERE series_id=? AND start_ns>=? AND start_ns<? "
      "ORDER BY start_ns");
  return walk(sql, series, range, [&visit, counters](Statement& row, DayProfile& profile) {
    profile.stacks = row.text(4);
    if (counters) profile.counters = row.text(5);
    return visit(profile);
  });
}

}  // namespace siprof::collector::sqlite
