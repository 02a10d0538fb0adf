// SPDX-License-Identifier: Apache-2.0
// The writing connection to one day file (kDaySchema in layout.cpp).
// Used by the store's writer, which has one open per day that profiles come for.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "collector/store/sqlite/database.h"
#include "collector/store/sqlite/profile_row.h"
#include "collector/store/store.h"

namespace siprof::collector::sqlite {

class DayWriter {
 public:
  static absl::StatusOr<DayWriter> open(const std::string& path);

  // All rows in one transaction: on an error none is in.
  absl::StatusOr<std::vector<Stored>> write(std::span<const ProfileRow* const> rows);

 private:
  struct Statements {
    Statement profile, body, range;
  };
  DayWriter(Database db, Statements statements, Id last_body)
      : db_(std::move(db)), statements_(std::move(statements)), last_body_(last_body) {}
  absl::StatusOr<Stored> insert(const ProfileRow& row, Id body);

  Database db_;
  Statements statements_;
  Id last_body_;
};

}  // namespace siprof::collector::sqlite
