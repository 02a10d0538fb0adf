// SPDX-License-Identifier: Apache-2.0
// A reading connection to one day file. Used by one query, on its thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "collector/store/reader.h"
#include "collector/store/sqlite/database.h"

namespace siprof::collector::sqlite {

struct DayProfile {
  std::int64_t start_ns = 0;
  std::int64_t agent = 0;
  std::int64_t duration_ns = 0;
  std::int64_t period = 0;
  std::int64_t total = 0;      // of the type asked for; only for_each_total
  absl::string_view stacks;    // only for_each_stacks
  absl::string_view counters;  // there only kWithCounters
};

enum class Columns { kStacks, kWithCounters };

struct SeriesRange {
  std::int64_t series = 0;
  std::int64_t first_ns = 0;
  std::int64_t last_ns = 0;
};

class DayReader {
 public:
  // NOT_FOUND when retention has just removed it.
  static absl::StatusOr<DayReader> open(const std::string& path);

  absl::Status for_each_series(const std::function<void(const SeriesRange&)>& visit);
  // Profiles of one series by start; `visit` ends the walk with an error.
  absl::Status for_each_total(std::int64_t series, TimeRange range, int type,
                              const std::function<absl::Status(const DayProfile&)>& visit);
  absl::Status for_each_stacks(std::int64_t series, TimeRange range, Columns columns,
                               const std::function<absl::Status(const DayProfile&)>& visit);

 private:
  explicit DayReader(Database db) : db_(std::move(db)) {}
  absl::Status walk(absl::string_view sql, std::int64_t series, TimeRange range,
                    const std::function<absl::Status(Statement&, DayProfile&)>& visit);
  Database db_;
};

}  // namespace siprof::collector::sqlite
