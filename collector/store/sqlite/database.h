// SPDX-License-Identifier: Apache-2.0
// The few SQLite calls that the store makes, with errors as absl::Status.
// A Database and its Statements belong to one thread at a time.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace siprof::collector::sqlite {

// Disk full and I/O errors, which a full disk makes too, are RESOURCE_EXHAUSTED (worth a retry
// when there is room again), a damaged file is DATA_LOSS, a lock held too long UNAVAILABLE.
absl::Status status_of(int code, sqlite3* db, absl::string_view doing);

class Statement {
 public:
  Statement(sqlite3* db, sqlite3_stmt* statement) : db_(db), statement_(statement) {}

  // Parameters count from 1, columns from 0, as in SQLite. Text and blobs have
  // to live until the statement is stepped.
  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, absl::string_view text);
  Statement& bind_blob(int index, absl::string_view bytes);
  Statement& bind_null(int index);

  // True: a row is there. False: done; the statement is reset and can be bound anew.
  absl::StatusOr<bool> step();
  // For statements without rows.
  absl::Status run();
  void reset();

  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  absl::string_view text(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
  };
  sqlite3* db_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

enum class Open {
  kWriter,  // creates the file; the only connection that writes
  kReader,  // NOT_FOUND where there is no file
};

class Database {
 public:
  static absl::StatusOr<Database> open(const std::string& path, Open mode);

  absl::StatusOr<Statement> prepare(absl::string_view sql);
  absl::Status run(const char* sql);
  absl::StatusOr<std::int64_t> query_integer(absl::string_view sql);
  // Runs `schema` in a new file (user_version 0) and marks it with `version`.
  // Errors: FAILED_PRECONDITION for a file with another version.
  absl::Status ensure_schema(const char* schema, int version);

  std::int64_t last_insert_id() const { return sqlite3_last_insert_rowid(db_.get()); }
  std::int64_t changes() const { return sqlite3_changes64(db_.get()); }

 private:
  struct Close {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  };
  explicit Database(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}
  std::unique_ptr<sqlite3, Close> db_;
  std::string path_;
};

// Rolls back unless committed.
class Transaction {
 public:
  static absl::StatusOr<Transaction> begin(Database& db);
  Transaction(Transaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  absl::Status commit();

 private:
  explicit Transaction(Database& db) : db_(&db) {}
  Database* db_;
};

}  // namespace siprof::collector::sqlite
