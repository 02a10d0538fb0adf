// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/day_reader.h"

#include <unistd.h>

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
  return DayReader(*std::move(db));
}

absl::Status DayReader::for_each_series(const std::function<void(const SeriesRange&)>& visit) {
  absl::StatusOr<Statement> statement = db_.prepare("SELECT series_id,first_ns,last_ns FROM series_range");
  if (!statement.ok()) return statement.status();
  while (true) {
    const absl::StatusOr<bool> row = statement->step();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    visit({statement->integer(0), statement->integer(1), statement->integer(2)});
  }
}

absl::Status DayReader::walk(absl::string_view sql, std::int64_t series, TimeRange range,
                             const std::function<absl::Status(Statement&, DayProfile&)>& visit) {
  absl::StatusOr<Statement> statement = db_.prepare(sql);
  if (!statement.ok()) return statement.status();
  statement->bind(1, series).bind(2, range.from_ns).bind(3, range.to_ns);
  while (true) {
    const absl::StatusOr<bool> row = statement->step();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    DayProfile profile;
    profile.start_ns = statement->integer(0);
    profile.agent = statement->integer(1);
    profile.duration_ns = statement->integer(2);
    profile.period = statement->integer(3);
    if (absl::Status status = visit(*statement, profile); !status.ok()) return status;
  }
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
