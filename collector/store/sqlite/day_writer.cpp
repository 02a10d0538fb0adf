// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/day_writer.h"

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
constexpr char kWidenRange[] =
    "INSERT INTO series_range(series_id,first_ns,last_ns) VALUES(?1,?2,?2) ON CONFLICT(series_id) DO UPDATE "
    "SET "
    "first_ns=min(first_ns,?2), last_ns=max(last_ns,?2) WHERE ?2<first_ns OR ?2>last_ns";

}  // namespace

absl::StatusOr<DayWriter> DayWriter::open(const std::string& path) {
  absl::StatusOr<Database> db = Database::open(path, Open::kWriter);
  if (!db.ok()) return db.status();
  const absl::StatusOr<Id> version = db->query_integer("PRAGMA user_version");
  if (!version.ok()) return version.status();
  const bool has_references = *version != 1;
  if (absl::Status status = db->ensure_schema(kDaySchema, has_references ? kDayVersion : 1); !status.ok())
    return status;
  const absl::StatusOr<std::int64_t> last_body = db->query_integer("SELECT max(id) FROM body");
  if (!last_body.ok()) return last_body.status();
  absl::StatusOr<Statement> profile = db->prepare(kInsertProfile);
  if (!profile.ok()) return profile.status();
  absl::StatusOr<Statement> body = db->prepare(kInsertBody);
  if (!body.ok()) return body.status();
  absl::StatusOr<Statement> range = db->prepare(kWidenRange);
  if (!range.ok()) return range.status();
  Statements statements{*std::move(profile), *std::move(body), *std::move(range), std::nullopt};
  if (has_references) {
    absl::StatusOr<Statement> reference = db->prepare(kInsertReference);
    if (!reference.ok()) return reference.status();
    statements.reference.emplace(*std::move(reference));
  }
  return DayWriter(*std::move(db), std::move(statements), *last_body);
}

absl::StatusOr<std::vector<Stored>> DayWriter::write(std::span<const ProfileRow* const> rows) {
  if (referred_.size() > kMaxReferred) referred_ = {};
  absl::StatusOr<std::vector<Stored>> results = write_all(rows);
  if (!results.ok()) referred_ = {};
  return results;
}

absl::StatusOr<std::vector<Stored>> DayWriter::write_all(std::span<const ProfileRow* const> rows) {
  absl::StatusOr<Transaction> transaction = Transaction::begin(db_);
  if (!transaction.ok()) return transaction.status();
  std::vector<Stored> results;
  Id body = last_body_;
  for (const ProfileRow* row : rows) {
    const absl::StatusOr<Stored> stored = insert(*row, body + 1);
    if (!stored.ok()) return stored.status();
    if (*stored == Stored::kNew) ++body;
    results.push_back(*stored);
  }
  if (absl::Status status = transaction->commit(); !status.ok()) return status;
  last_body_ = body;
  return results;
}

absl::StatusOr<Stored> DayWriter::insert(const ProfileRow& row, Id body) {
  Statement& profile = statements_.profile;
  profile.bind(1, row.series).bind(2, row.start_ns).bind(3, row.agent).bind(4, row.sequence);
  profile.bind(5, row.duration_ns).bind(6, row.period).bind(7, body);
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
  if (absl::Status status = bytes.bind(1, body).bind_blob(2, row.stacks).bind_blob(3, row.counters).run();
      !status.ok())
    return status;
  if (absl::Status status = refer(row); !status.ok()) return status;
  if (absl::Status status = statements_.range.bind(1, row.series).bind(2, row.start_ns).run(); !status.ok())
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

absl::Status DayWriter::refer_to(Reference reference) {
  if (!referred_.insert(reference).second) return absl::OkStatus();
  return statements_.reference->bind(1, reference.first).bind(2, reference.second).run();
}

}  // namespace siprof::collector::sqlite
