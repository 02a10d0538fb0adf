// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/database.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace siprof::collector::sqlite {

absl::Status status_of(int code, sqlite3* db, absl::string_view doing) {
  std::string message = absl::StrCat(doing, ": ", db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code));
  const int os_error = db != nullptr ? sqlite3_system_errno(db) : 0;
  switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
      return absl::OkStatus();
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(message);
    case SQLITE_IOERR:
      if (os_error != 0) absl::StrAppend(&message, " (", std::strerror(os_error), ")");
      return absl::ResourceExhaustedError(message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(message);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(message);
    default:
      return absl::InternalError(message);
  }
}

Statement& Statement::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(statement_.get(), index, value);
  return *this;
}

// SQLITE_STATIC: the caller keeps the bytes until step(); a null pointer would bind NULL.
Statement& Statement::bind(int index, absl::string_view text) {
  sqlite3_bind_text64(statement_.get(), index, text.empty() ? "" : text.data(), text.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind_blob(int index, absl::string_view bytes) {
  sqlite3_bind_blob64(statement_.get(), index, bytes.empty() ? "" : bytes.data(), bytes.size(),
                      SQLITE_STATIC);
  return *this;
}

Statement& Statement::bind_null(int index) {
  sqlite3_bind_null(statement_.get(), index);
  return *this;
}

absl::StatusOr<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  // The message is lost by the reset, so it is made first.
  absl::Status status = status_of(code, db_, "SQLite");
  reset();
  if (!status.ok()) return status;
  return false;
}

absl::Status Statement::run() {
  return step().status();
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
}

absl::string_view Statement::text(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

absl::StatusOr<Database> Database::open(const std::string& path, Open mode) {
  sqlite3* raw = nullptr;
  const int create = mode == Open::kWriter ? SQLITE_OPEN_CREATE : 0;
  const int code =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | create, nullptr);
  Database db(raw, path);
  if (code != SQLITE_OK) return status_of(code, raw, absl::StrCat("opening ", path));
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, /*ms=*/5000);
  const char* pragmas =
      mode == Open::kWriter
          ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=67108864"
          : "PRAGMA query_only=1";
  if (absl::Status status = db.run(pragmas); !status.ok()) return status;
  return db;
}

absl::StatusOr<Statement> Database::prepare(absl::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(db_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return status_of(code, db_.get(), absl::StrCat(path_, ": preparing \"", sql, "\""));
  return Statement(db_.get(), statement);
}

absl::Status Database::run(const char* sql) {
  return status_of(sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr), db_.get(), path_);
}

absl::StatusOr<std::int64_t> Database::query_integer(absl::string_view sql) {
  absl::StatusOr<Statement> statement = prepare(sql);
  if (!statement.ok()) return statement.status();
  const absl::StatusOr<bool> row = statement->step();
  if (!row.ok()) return row.status();
  return *row ? statement->integer(0) : 0;
}

absl::Status Database::ensure_schema(const char* schema, int version) {
  const absl::StatusOr<std::int64_t> found = query_integer("PRAGMA user_version");
  if (!found.ok()) return found.status();
  if (*found == version) return absl::OkStatus();
  if (*found != 0)
    return absl::FailedPreconditionError(absl::StrCat(path_, " has layout ", *found,
                                                      ", this siprof-collector writes ", version,
                                                      ": use the version that made it, or another --store"));
  absl::StatusOr<Transaction> transaction = Transaction::begin(*this);
  if (!transaction.ok()) return transaction.status();
  if (absl::Status status = run(schema); !status.ok()) return status;
  if (absl::Status status = run(absl::StrCat("PRAGMA user_version=", version).c_str()); !status.ok())
    return status;
  return transaction->commit();
}

absl::StatusOr<Transaction> Transaction::begin(Database& db) {
  if (absl::Status status = db.run("BEGIN IMMEDIATE"); !status.ok()) return status;
  return Transaction(db);
}

// After an error such as SQLITE_FULL SQLite may have rolled back already; then
// this ROLLBACK fails, which is what we want to have.
Transaction::~Transaction() {
  if (db_ != nullptr) (void)db_->run("ROLLBACK");
}

absl::Status Transaction::commit() {
  absl::Status status = db_->run("COMMIT");
  if (status.ok()) db_ = nullptr;
  return status;
}

}  // namespace siprof::collector::sqlite
