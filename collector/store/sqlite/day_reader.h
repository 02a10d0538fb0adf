// SPDX-License-Identifier: Apache-2.0
// A reading connection to one day file. Used by one query, on its thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
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

struct DayMetrics {
  std::int64_t start_ns = 0;
  std::int64_t agent = 0;
  std::int64_t duration_ns = 0;
  absl::string_view points;
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

  // The same of runtime metrics; a file without tables for them (kDayVersionWithoutMetrics) has none.
  absl::Status for_each_metric_series(const std::function<void(const SeriesRange&)>& visit);
  absl::Status for_each_metric_name(
      const std::function<void(std::int64_t series, std::int64_t metric)>& visit);
  absl::Status for_each_metrics(std::int64_t series, TimeRange range,
                                const std::function<absl::Status(const DayMetrics&)>& visit);

 private:
  DayReader(Database db, bool has_metrics) : db_(std::move(db)), has_metrics_(has_metrics) {}
  absl::Status rows(absl::string_view sql, std::span<const std::int64_t> bound,
                    const std::function<absl::Status(Statement&)>& visit);
  absl::Status ranges(absl::string_view sql, const std::function<void(const SeriesRange&)>& visit);
  absl::Status walk(absl::string_view sql, std::int64_t series, TimeRange range,
                    const std::function<absl::Status(Statement&, DayProfile&)>& visit);
  Database db_;
  bool has_metrics_;
};

}  // namespace siprof::collector::sqlite
