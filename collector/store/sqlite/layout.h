// SPDX-License-Identifier: Apache-2.0
// What is where in a store's folder, and the tables of its files.
//
//   DIR/lock                 flock(2) of the one collector that has the store open
//   DIR/catalog.db           names: services, series, functions, stacks
//   DIR/10s/2023-11-14.db    profiles and metrics that start on that day (UTC), one file per tier and day
//
// A profile or a window of metrics is in a day file only after all it refers to is in the catalogue: the
// writer commits the catalogue first (synchronous=FULL, so that this order survives
// a power cut too), then the day. When days were removed, what no day refers to any
// more leaves the catalogue (catalog_sweep.h). An id is never given out twice, and
// each sweep counts up the setting `generation`, by which readers notice.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "collector/store/retention.h"

namespace siprof::collector::sqlite {

// In column `inlined` of table `frame`: 0 and 1 say what they say, this is no frame but a label of a sample.
inline constexpr std::int64_t kLabelFrame = 2;

// Of the catalogue. Version 1 is the same without metrics: a collector that knows no other must not sweep the
// names that they use, so it has to refuse the store.
inline constexpr int kLayoutVersion = 2;
inline constexpr int kLayoutVersionWithoutMetrics = 1;
// Files of version 1 have no table `reference`: while one is there nothing is swept. Those of version 2 have
// no tables for metrics. The writer adds them to a file of either version that it opens; one of version 1
// keeps its number, so that it still isn't swept.
inline constexpr int kDayVersion = 3;
inline constexpr int kDayVersionWithoutMetrics = 2;
// Values of reference.space; positive ones are services, whose stack nodes are meant.
inline constexpr std::int64_t kAgentSpace = -1;
inline constexpr std::int64_t kStringSpace = -2;
inline constexpr char kGeneration[] = "generation";
// One profile has at most this many sample types (columns total_0 … total_7).
inline constexpr int kMaxTypes = 8;
inline constexpr std::int64_t kDayNs = 86'400'000'000'000;

extern const char kCatalogSchema[];
extern const char kDaySchema[];
extern const char kMetricSchema[];  // what kDaySchema and version 2 lack

// Days since 1970-01-01 UTC.
std::int64_t day_of(std::int64_t unix_ns);

struct DayPath {
  std::int64_t day = 0;
  std::string path;
};

class Layout {
 public:
  explicit Layout(std::string dir) : dir_(std::move(dir)) {}

  const std::string& dir() const { return dir_; }
  std::string lock() const { return dir_ + "/lock"; }
  std::string catalog() const { return dir_ + "/catalog.db"; }
  std::string day(const Tier& tier, std::int64_t day) const;

  // Creates the folders, private to the user.
  absl::Status create(const std::vector<Tier>& tiers) const;
  // The day files of a tier that are there, oldest first. Other files are passed over.
  absl::StatusOr<std::vector<DayPath>> days(const Tier& tier) const;
  // Of a database with its write-ahead log.
  static std::int64_t database_bytes(const std::string& path);
  // Unlinks a database with its side files.
  static absl::Status remove_database(const std::string& path);

 private:
  std::string dir_;
};

}  // namespace siprof::collector::sqlite
