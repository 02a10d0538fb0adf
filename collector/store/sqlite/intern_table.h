// SPDX-License-Identifier: Apache-2.0
// A catalogue table that gives each distinct key one id, with the ids of recent
// keys in memory. Part of the store's writer; rows are only ever added.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "collector/store/sqlite/database.h"

namespace siprof::collector::sqlite {

using Id = std::int64_t;

// Key is std::string (one text column) or std::array<Id, N> (N integer columns).
template <typename Key>
class InternTable {
 public:
  static absl::StatusOr<InternTable> open(Database& db, absl::string_view table,
                                          std::initializer_list<absl::string_view> columns) {
    const auto equals = [](std::string* out, absl::string_view c) { absl::StrAppend(out, c, "=?"); };
    const auto mark = [](std::string* out, absl::string_view) { absl::StrAppend(out, "?"); };
    auto find = db.prepare(
        absl::StrCat("SELECT id FROM ", table, " WHERE ", absl::StrJoin(columns, " AND ", equals)));
    if (!find.ok()) return find.status();
    auto insert = db.prepare(absl::StrCat("INSERT INTO ", table, "(", absl::StrJoin(columns, ","),
                                          ") VALUES(", absl::StrJoin(columns, ",", mark), ")"));
    if (!insert.ok()) return insert.status();
    return InternTable(*std::move(find), *std::move(insert));
  }

  // Sets `added` when the key is new; else leaves it.
  template <typename Lookup>
  absl::StatusOr<Id> id_of(Database& db, const Lookup& key, bool& added) {
    if (const auto known = ids_.find(key); known != ids_.end()) return known->second;
    const absl::StatusOr<bool> found = bind(find_, key).step();
    if (!found.ok()) return found.status();
    Id id = 0;
    if (*found) {
      id = find_.integer(0);
      find_.reset();
    } else {
      if (absl::Status status = bind(insert_, key).run(); !status.ok()) return status;
      id = db.last_insert_id();
      added = true;
    }
    ids_.emplace(key, id);
    bytes_ += bytes_of(key);
    return id;
  }

  // About what the ids in memory take.
  std::size_t bytes() const { return bytes_ + ids_.size() * (sizeof(Key) + sizeof(Id) + 2); }
  void forget() {
    ids_ = {};
    bytes_ = 0;
  }

 private:
  InternTable(Statement find, Statement insert) : find_(std::move(find)), insert_(std::move(insert)) {}

  static Statement& bind(Statement& statement, absl::string_view key) { return statement.bind(1, key); }
  template <std::size_t N>
  static Statement& bind(Statement& statement, const std::array<Id, N>& key) {
    for (std::size_t i = 0; i < N; ++i) statement.bind(static_cast<int>(i) + 1, key[i]);
    return statement;
  }
  static std::size_t bytes_of(absl::string_view key) { return key.size(); }
  template <std::size_t N>
  static std::size_t bytes_of(const std::array<Id, N>&) {
    return 0;
  }

  Statement find_;
  Statement insert_;
  absl::flat_hash_map<Key, Id> ids_;
  std::size_t bytes_ = 0;
};

}  // namespace siprof::collector::sqlite
