// SPDX-License-Identifier: Apache-2.0
// The writing connection to one day file (kDaySchema and kMetricSchema in layout.cpp).
// Used by the store's writer, which has one open per day that profiles come for.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "collector/store/sqlite/database.h"
#include "collector/store/sqlite/metric_row.h"
#include "collector/store/sqlite/profile_row.h"
#include "collector/store/store.h"

namespace siprof::collector::sqlite {

class DayWriter {
 public:
  static absl::StatusOr<DayWriter> open(const std::string& path);

  // All rows in one transaction: on an error none is in.
  absl::StatusOr<std::vector<Stored>> write(std::span<const ProfileRow* const> rows);
  absl::StatusOr<std::vector<Stored>> write(std::span<const MetricRow* const> rows);

 private:
  struct Statements {
    Statement profile, body, range, metrics, metric_range, metric_name;
    std::optional<Statement> reference;  // unset in a file of version 1
  };
  DayWriter(Database db, Statements statements, Id last_body)
      : db_(std::move(db)), statements_(std::move(statements)), last_body_(last_body) {}
  using Reference = std::pair<Id, Id>;  // space, id
  static absl::StatusOr<Statements> prepare(Database& db, bool has_references);
  template <typename Row>
  absl::StatusOr<std::vector<Stored>> write_rows(std::span<const Row* const> rows);
  template <typename Row>
  absl::StatusOr<std::vector<Stored>> write_all(std::span<const Row* const> rows);
  // `body`: the id of the last one, counted up where one is added.
  absl::StatusOr<Stored> insert(const ProfileRow& row, Id& body);
  absl::StatusOr<Stored> insert(const MetricRow& row, Id& body);
  absl::Status refer(const ProfileRow& row);
  absl::Status refer(const MetricRow& row);
  absl::Status refer_to(Reference reference);

  Database db_;
  Statements statements_;
  Id last_body_;
  // Known to be in the file, or in the open transaction: rows of `reference`, and of metric_name (series,
  // metric).
  absl::flat_hash_set<Reference> referred_, named_;
};

}  // namespace siprof::collector::sqlite
