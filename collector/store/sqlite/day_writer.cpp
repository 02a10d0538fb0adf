// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/day_writer.h"

#include "absl/strings/str_cat.h"
#include "collector/store/sqlite/layout.h"

namespace siprof::collector::sqlite {
namespace {

constexpr char kInsertProfile[] =
    "INSERT OR IGNORE INTO profile(series_id,start_ns,agent_id,sequence,duration_ns,period,body_id,"
    "total_0,total_1,total_2,total_3,total_4,total_5,total_6,total_7) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
constexpr int kFirstTotal = 8;
constexpr char kInsertReference[] = "INSERT OR IGNORE INTO reference(space,id) VALUES(?,?)";
// What is forgotten is inserted in vain, no more.
constexpr std::size_t kMaxReferred = 4u << 20;
constexpr char kInsertBody[] = "INSERT INTO body(id,stacks,counters) VALUES(?,?,?)";
constexpr char kInsertMetrics[] =
    "INSERT OR IGNORE INTO metrics(series_id,start_ns,agent_id,sequence,duration_ns,points) "
    "VALUES(?,?,?,?,?,?)";
constexpr char kInsertMetricName[] = "INSERT OR IGNORE INTO metric_name(series_id,metric) VALUES(?,?)";

std::string widen_range(absl::string_view table) {
  return absl::StrCat("INSERT INTO ", table,
                      "(series_id,first_ns,last_ns) VALUES(?1,?2,?2) ON CONFLICT(series_id) DO UPDATE SET "
                      "first_ns=min(first_ns,?2), last_ns=max(last_ns,?2) WHERE ?2<first_ns OR ?2>last_ns");
}

// A file of another version is changed in one transaction, or not at all; see kDayVersion.
absl::Status add_metrics(Database& db, Id version) {
  absl::StatusOr<Transaction> transaction = Transaction::begin(db);
  if (!transaction.ok()) return transaction.status();
  if (absl::Status status = db.run(kMetricSchema); !status.ok()) return status;
  if (version == kDayVersionWithoutMetrics)
    if (absl::Status status = db.run(absl::StrCat("PRAGMA user_version=", kDayVersion).c_str()); !status.ok())
      return status;
  return transaction->commit();
}

// The version afterwards.
absl::StatusOr<Id> ensure_day_schema(Database& db) {
  const absl::StatusOr<Id> version = db.query_integer("PRAGMA user_version");
  if (!version.ok()) return version;
  const bool older = *version > 0 && *version < kDayVersion;
  const std::string schema = absl::StrCat(kDaySchema, kMetricSchema);
  absl::Status status = older ? add_metrics(db, *version) : db.ensure_schema(schema.c_str(), kDayVersion);
  if (!status.ok()) return status;
  return *version == 1 ? 1 : kDayVersion;
}

}  // namespace

absl::StatusOr<DayWriter> DayWriter::open(const std::string& path) {
  absl::StatusOr<Database> db = Database::open(path, Open::kWriter);
  if (!db.ok()) return db.status();
  const absl::StatusOr<Id> version = ensure_day_schema(*db);
  if (!version.ok()) return version.status();
  const absl::StatusOr<std::int64_t> last_body = db->query_integer("SELECT max(id) FROM body");
  if (!last_body.ok()) return last_body.status();
  absl::StatusOr<Statements> statements = prepare(*db, /*has_references=*/*version != 1);
  if (!statements.ok()) return statements.status();
  return DayWriter(*std::move(db), *std::move(statements), *last_body);
}

absl::StatusOr<DayWriter::Statements> DayWriter::prepare(Database& db, bool has_references) {
  std::vector<Statement> made;
  for (const std::string& sql :
       {std::string(kInsertProfile), std::string(kInsertBody), widen_range("series_range"),
        std::string(kInsertMetrics), widen_range("metric_range"), std::string(kInsertMetricName)}) {
    absl::StatusOr<Statement> statement = db.prepare(sql);
    if (!statement.ok()) return statement.status();
    made.push_back(*std::move(statement));
  }
  Statements statements{std::move(made[0]), std::move(made[1]), std::move(made[2]), std::move(made[3]),
                        std::move(made[4]), std::move(made[5]), std::nullopt};
  if (has_references) {
    absl::StatusOr<Statement> reference = db.prepare(kInsertReference);
    if (!reference.ok()) return reference.status();
    statements.reference.emplace(*std::move(reference));
  }
  return statements;
}

absl::StatusOr<std::vector<Stored>> DayWriter::write(std::span<const ProfileRow* const> rows) {
  return write_rows(rows);
}

absl::StatusOr<std::vector<Stored>> DayWriter::write(std::span<const MetricRow* const> rows) {
  return write_rows(rows);
}

template <typename Row>
absl::StatusOr<std::vector<Stored>> DayWriter::write_rows(std::span<const Row* const> rows) {
  if (referred_.size() > kMaxReferred) referred_ = {};
  if (named_.size() > kMaxReferred) named_ = {};
  absl::StatusOr<std::vector<Stored>> results = write_all(rows);
  if (!results.ok()) referred_ = named_ = {};
  return results;
}

template <typename Row>
absl::StatusOr<std::vector<Stored>> DayWriter::write_all(std::span<const Row* const> rows) {
  absl::StatusOr<Transaction> transaction = Transaction::begin(db_);
  if (!transaction.ok()) return transaction.status();
  std::vector<Stored> results;
  Id body = last_body_;
  for (const Row* row : rows) {
    const absl::StatusOr<Stored> stored = insert(*row, body);
    if (!stored.ok()) return stored.status();
    results.push_back(*stored);
  }
  if (absl::Status status = transaction->commit(); !status.ok()) return status;
  last_body_ = body;
  return results;
}

absl::StatusOr<Stored> DayWriter::insert(const ProfileRow& row, Id& body) {
  Statement& profile = statements_.profile;
  profile.bind(1, row.series).bind(2, row.start_ns).bind(3, row.agent).bind(4, row.sequence);
  profile.bind(5, row.duration_ns).bind(6, row.period).bind(7, body + 1);
  for (int i = 0; i < kMaxTypes; ++i) {
    const auto type = static_cast<std::size_t>(i);
    if (type < row.totals.size())
      profile.bind(kFirstTotal + i, row.totals[type]);
    else
      profile.bind_null(kFirstTotal + i);
  }
  if (absl::Status status = profile.run(); !status.ok()) return status;
  if (db_.changes() == 0) return Stored::kDuplicate;
  Statement& bytes = statements_.body;
  if (absl::Status status = bytes.bind(1, ++body).bind_blob(2, row.stacks).bind_blob(3, row.counters).run();
      !status.ok())
    return status;
  if (absl::Status status = refer(row); !status.ok()) return status;
  if (absl::Status status = statements_.range.bind(1, row.series).bind(2, row.start_ns).run(); !status.ok())
    return status;
  return Stored::kNew;
}

absl::StatusOr<Stored> DayWriter::insert(const MetricRow& row, Id& /*body*/) {
  Statement& metrics = statements_.metrics;
  metrics.bind(1, row.series).bind(2, row.start_ns).bind(3, row.agent).bind(4, row.sequence);
  if (absl::Status status = metrics.bind(5, row.duration_ns).bind_blob(6, row.points).run(); !status.ok())
    return status;
  if (db_.changes() == 0) return Stored::kDuplicate;
  if (absl::Status status = refer(row); !status.ok()) return status;
  Statement& range = statements_.metric_range;
  if (absl::Status status = range.bind(1, row.series).bind(2, row.start_ns).run(); !status.ok())
    return status;
  return Stored::kNew;
}

absl::Status DayWriter::refer(const ProfileRow& row) {
  if (!statements_.reference) return absl::OkStatus();
  absl::Status status = refer_to({kAgentSpace, row.agent});
  for (const Id name : row.counter_names) status.Update(refer_to({kStringSpace, name}));
  for (const std::uint32_t stack : row.stack_ids) status.Update(refer_to({row.service, Id{stack}}));
  return status;
}

absl::Status DayWriter::refer(const MetricRow& row) {
  absl::Status status;
  for (const Id metric : row.metrics)
    if (named_.insert({row.series, metric}).second)
      status.Update(statements_.metric_name.bind(1, row.series).bind(2, metric).run());
  if (!statements_.reference) return status;
  status.Update(refer_to({kAgentSpace, row.agent}));
  for (const Id text : row.label_texts) status.Update(refer_to({kStringSpace, text}));
  return status;
}

absl::Status DayWriter::refer_to(Reference reference) {
  if (!referred_.insert(reference).second) return absl::OkStatus();
  return statements_.reference->bind(1, reference.first).bind(2, reference.second).run();
}

}  // namespace siprof::collector::sqlite
