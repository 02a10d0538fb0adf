// SPDX-License-Identifier: Apache-2.0
// The embedded store's write side: a catalogue and one file per tier and day,
// see layout.h. Readers (sqlite_reader.h) use connections of their own.
//
// A batch goes: names to ids, commit the catalogue; then one transaction per day.
// A crash in between leaves names that nothing refers to, never the reverse.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "collector/store/retention.h"
#include "collector/store/sqlite/catalog_writer.h"
#include "collector/store/sqlite/day_writer.h"
#include "collector/store/sqlite/health.h"
#include "collector/store/sqlite/layout.h"
#include "collector/store/sqlite/store_lock.h"
#include "collector/store/store.h"

namespace siprof::collector::sqlite {

struct StoreOptions {
  std::string dir;
  std::vector<Tier> tiers = default_tiers();
  std::int64_t max_bytes = 0;            // 0: no limit
  std::function<std::int64_t()> now_ns;  // unset: the system's clock
};

class SqliteStore final : public Store {
 public:
  // Errors: FAILED_PRECONDITION (in use, made by another version), DATA_LOSS, what the system says.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> open(StoreOptions options);

  std::vector<absl::StatusOr<Stored>> write(std::span<const IncomingProfile> batch) override;
  std::vector<absl::StatusOr<Stored>> write_metrics(std::span<const IncomingMetrics> batch) override;
  absl::Status ready() const override { return health_.ready(); }

  // Removes what retention and the size limit say, which write() does too when a day begins or there
  // is no room; then the names that nothing refers to any more. Any thread.
  absl::Status maintain();
  std::int64_t bytes() const;

 private:
  using Results = std::vector<absl::StatusOr<Stored>>;
  // Rows of a batch, by position in it.
  template <typename Row>
  using Rows = std::map<std::size_t, Row>;

  SqliteStore(StoreOptions options, StoreLock lock, std::unique_ptr<CatalogWriter> catalog,
              std::int64_t floor_day);
  const Tier& finest() const { return options_.tiers.front(); }
  absl::Status check_time(std::int64_t start_ns, absl::string_view what) const;
  // These five are the same for profiles and metrics.
  template <typename Row, typename Incoming>
  Results write_batch(std::span<const Incoming> batch);
  template <typename Row, typename Incoming>
  absl::Status make_rows(std::span<const Incoming> batch, Results& results, Rows<Row>& rows);
  template <typename Row, typename Incoming>
  absl::Status commit_names(std::span<const Incoming> batch, Results& results, Rows<Row>& rows);
  template <typename Row>
  void write_days(const Rows<Row>& rows, Results& results);
  template <typename Row>
  absl::Status write_day(std::int64_t day, const Rows<Row>& rows, Results& results);
  absl::StatusOr<ProfileRow> row_of(const IncomingProfile& profile);
  absl::StatusOr<MetricRow> row_of(const IncomingMetrics& metrics);
  absl::StatusOr<DayWriter*> day_writer(std::int64_t day);
  absl::Status remove_day(const Tier& tier, const DayPath& day);
  absl::Status remove_expired();
  absl::Status make_room();
  absl::Status make_room_with(std::int64_t least_bytes);
  // What stays however many days go: those from today on and the names in them.
  absl::StatusOr<std::int64_t> least_bytes();
  absl::Status sweep();
  absl::StatusOr<std::vector<std::string>> day_files(std::int64_t from_day) const;

  const StoreOptions options_;
  const Layout layout_;
  const StoreLock lock_;
  Health health_;
  mutable std::mutex mutex_;  // write() against maintain()
  std::unique_ptr<CatalogWriter> catalog_;
  StackEncoder stack_encoder_;
  MetricEncoder metric_encoder_;
  std::map<std::int64_t, DayWriter> days_;
  // Days before it were removed. One that came back would be mistaken for the
  // old file by a reader that still has that one open.
  std::int64_t floor_day_;
  // make_room() said no at that size on that day: asked again, it needn't look again.
  struct Refused {
    std::int64_t bytes = -1, day = 0;
    absl::Status why;
  } refused_;
};

}  // namespace siprof::collector::sqlite
