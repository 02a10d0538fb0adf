// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/sqlite_store.h"

#include <algorithm>
#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace siprof::collector::sqlite {
namespace {

// Late profiles come for a few days at most; each open day costs its page cache.
constexpr std::size_t kMaxOpenDays = 4;
// Clocks differ. Beyond this a profile would sit in a day that retention never reaches.
constexpr std::int64_t kMaxAheadNs = 3'600'000'000'000;
constexpr std::int64_t kAllDays = std::numeric_limits<std::int64_t>::min();
constexpr char kFloorDay[] = "floor_day";
constexpr char kSweptDay[] = "swept_day";  // floor_day when the catalogue was last swept

// An error of the engine, as against one of the profile or metrics.
bool of_engine(const absl::Status& status) {
  return !status.ok() && !absl::IsInvalidArgument(status) && !absl::IsOutOfRange(status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::open(StoreOptions options) {
  if (!options.now_ns) options.now_ns = [] { return absl::GetCurrentTimeNanos(); };
  const Layout layout(options.dir);
  if (absl::Status status = layout.create(options.tiers); !status.ok()) return status;
  absl::StatusOr<StoreLock> lock = StoreLock::take(layout.lock());
  if (!lock.ok()) return lock.status();
  absl::StatusOr<std::unique_ptr<CatalogWriter>> catalog = CatalogWriter::open(layout.catalog());
  if (!catalog.ok()) return catalog.status();
  const absl::StatusOr<Id> floor_day = (*catalog)->setting(kFloorDay);
  if (!floor_day.ok()) return floor_day.status();
  std::unique_ptr<SqliteStore> store(
      new SqliteStore(std::move(options), *std::move(lock), *std::move(catalog), *floor_day));
  if (absl::Status status = store->remove_expired(); !status.ok()) return status;
  return store;
}

SqliteStore::SqliteStore(StoreOptions options, StoreLock lock, std::unique_ptr<CatalogWriter> catalog,
                         std::int64_t floor_day)
    : options_(std::move(options)),
      layout_(options_.dir),
      lock_(std::move(lock)),
      health_(options_.dir),
      catalog_(std::move(catalog)),
      floor_day_(floor_day) {}

std::vector<absl::StatusOr<Stored>> SqliteStore::write(std::span<const IncomingProfile> batch) {
  return write_batch<ProfileRow>(batch);
}

std::vector<absl::StatusOr<Stored>> SqliteStore::write_metrics(std::span<const IncomingMetrics> batch) {
  return write_batch<MetricRow>(batch);
}

template <typename Row, typename Incoming>
SqliteStore::Results SqliteStore::write_batch(std::span<const Incoming> batch) {
  const std::lock_guard guard(mutex_);
  Results results(batch.size(), absl::StatusOr<Stored>(absl::UnavailableError("not written")));
  Rows<Row> rows;
  absl::Status status = make_room();
  if (status.ok()) status = commit_names(batch, results, rows);
  if (!status.ok()) {
    health_.failed(status);
    std::ranges::fill(results, absl::StatusOr<Stored>(status));
    return results;
  }
  write_days(rows, results);
  return results;
}

template <typename Row, typename Incoming>
absl::Status SqliteStore::commit_names(std::span<const Incoming> batch, Results& results, Rows<Row>& rows) {
  if (absl::Status status = catalog_->begin(); !status.ok()) return status;
  if (absl::Status status = make_rows(batch, results, rows); !status.ok()) {
    catalog_->rollback();
    return status;
  }
  return catalog_->commit();
}

template <typename Row, typename Incoming>
absl::Status SqliteStore::make_rows(std::span<const Incoming> batch, Results& results, Rows<Row>& rows) {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    absl::StatusOr<Row> row = row_of(batch[i]);
    if (of_engine(row.status())) return row.status();
    if (row.ok())
      rows.emplace(i, *std::move(row));
    else
      results[i] = row.status();
  }
  return absl::OkStatus();
}

absl::StatusOr<ProfileRow> SqliteStore::row_of(const IncomingProfile& profile) {
  if (absl::Status status = check_time(profile.start_unix_ns, "the profile starts"); !status.ok())
    return status;
  return make_row(profile, *catalog_, stack_encoder_);
}

absl::StatusOr<MetricRow> SqliteStore::row_of(const IncomingMetrics& metrics) {
  if (absl::Status status = check_time(metrics.start_unix_ns, "the metrics start"); !status.ok())
    return status;
  return make_row(metrics, *catalog_, metric_encoder_);
}

absl::Status SqliteStore::check_time(std::int64_t start_ns, absl::string_view what) const {
  const std::int64_t now = options_.now_ns();
  if (start_ns > now + kMaxAheadNs)
    return absl::InvalidArgumentError(
        absl::StrCat(what, " in the future: check the clocks of agent and collector"));
  if (start_ns < now - finest().keep_ns || day_of(start_ns) < floor_day_)
    return absl::OutOfRangeError(
        absl::StrCat(what, " before what the store keeps (--retention, --store-bytes)"));
  return absl::OkStatus();
}

template <typename Row>
void SqliteStore::write_days(const Rows<Row>& rows, Results& results) {
  std::set<std::int64_t> days;
  for (const auto& [index, row] : rows) days.insert(day_of(row.start_ns));
  absl::Status worst;
  for (const std::int64_t day : days) worst.Update(write_day(day, rows, results));
  if (!worst.ok())
    health_.failed(worst);
  else if (!days.empty())
    health_.succeeded();
}

template <typename Row>
absl::Status SqliteStore::write_day(std::int64_t day, const Rows<Row>& rows, Results& results) {
  std::vector<std::size_t> indices;
  std::vector<const Row*> of_day;
  for (const auto& [index, row] : rows) {
    if (day_of(row.start_ns) != day) continue;
    indices.push_back(index);
    of_day.push_back(&row);
  }
  const absl::StatusOr<DayWriter*> writer = day_writer(day);
  const absl::StatusOr<std::vector<Stored>> stored =
      writer.ok() ? (*writer)->write(of_day) : absl::StatusOr<std::vector<Stored>>(writer.status());
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (stored.ok())
      results[indices[i]] = (*stored)[i];
    else
      results[indices[i]] = stored.status();
  }
  return stored.status();
}

absl::StatusOr<DayWriter*> SqliteStore::day_writer(std::int64_t day) {
  if (const auto open = days_.find(day); open != days_.end()) return &open->second;
  absl::StatusOr<DayWriter> writer = DayWriter::open(layout_.day(finest(), day));
  if (!writer.ok()) return writer.status();
  if (days_.size() >= kMaxOpenDays) days_.erase(days_.begin());
  if (absl::Status status = remove_expired(); !status.ok()) return status;
  return &days_.emplace(day, *std::move(writer)).first->second;
}

absl::Status SqliteStore::maintain() {
  const std::lock_guard guard(mutex_);
  if (absl::Status status = remove_expired(); !status.ok()) return status;
  // That there is no room even so is for write() to say.
  (void)make_room();
  return sweep();
}

absl::Status SqliteStore::sweep() {
  const absl::StatusOr<Id> swept = catalog_->setting(kSweptDay);
  if (!swept.ok()) return swept.status();
  if (*swept == floor_day_) return absl::OkStatus();
  const absl::StatusOr<std::vector<std::string>> files = day_files(kAllDays);
  if (!files.ok()) return files.status();
  const absl::Status status = catalog_->sweep(*files, Sweep::kDo).status();
  if (absl::IsFailedPrecondition(status)) return absl::OkStatus();  // later, when the old files are gone
  if (!status.ok()) return status;
  return catalog_->set_setting(kSweptDay, floor_day_);
}

absl::Status SqliteStore::remove_expired() {
  for (const Tier& tier : options_.tiers) {
    const absl::StatusOr<std::vector<DayPath>> days = layout_.days(tier);
    if (!days.ok()) return days.status();
    const std::int64_t first_kept = day_of(options_.now_ns() - tier.keep_ns);
    for (const DayPath& day : *days) {
      if (day.day >= first_kept) break;
      if (absl::Status status = remove_day(tier, day); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::Status SqliteStore::make_room() {
  const std::int64_t before = bytes();
  const std::int64_t today = day_of(options_.now_ns());
  if (options_.max_bytes == 0 || before <= options_.max_bytes) return absl::OkStatus();
  if (refused_.bytes == before && refused_.day == today) return refused_.why;
  if (absl::Status status = sweep(); !status.ok()) return status;
  if (bytes() <= options_.max_bytes) return absl::OkStatus();
  const absl::StatusOr<std::int64_t> least = least_bytes();
  if (!least.ok()) return least.status();
  absl::Status status = make_room_with(*least);
  refused_ = {status.ok() ? -1 : bytes(), today, status};
  return status;
}

// History goes only where that makes room: the days before today, until it is enough.
absl::Status SqliteStore::make_room_with(std::int64_t least_bytes) {
  const std::int64_t today = day_of(options_.now_ns());
  for (const Tier& tier : options_.tiers) {
    if (least_bytes > options_.max_bytes) break;
    const absl::StatusOr<std::vector<DayPath>> days = layout_.days(tier);
    if (!days.ok()) return days.status();
    for (const DayPath& day : *days) {
      if (day.day >= today) break;
      if (absl::Status status = remove_day(tier, day); !status.ok()) return status;
      if (bytes() <= options_.max_bytes) return absl::OkStatus();
      if (absl::Status status = sweep(); !status.ok()) return status;
      if (bytes() <= options_.max_bytes) return absl::OkStatus();
    }
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("the store ", options_.dir, " takes ", bytes(), " bytes, --store-bytes is ",
                   options_.max_bytes, ", and what came in today takes ", least_bytes,
                   " with its names: removing older days can't make enough room, raise --store-bytes"));
}

absl::StatusOr<std::int64_t> SqliteStore::least_bytes() {
  const absl::StatusOr<std::vector<std::string>> files = day_files(day_of(options_.now_ns()));
  if (!files.ok()) return files.status();
  absl::StatusOr<std::int64_t> names = catalog_->sweep(*files, Sweep::kTry);
  if (absl::IsFailedPrecondition(names.status())) names = 0;  // not known, so let days go
  if (!names.ok()) return names;
  std::int64_t bytes = *names;
  for (const std::string& file : *files) bytes += Layout::database_bytes(file);
  return bytes;
}

absl::StatusOr<std::vector<std::string>> SqliteStore::day_files(std::int64_t from_day) const {
  std::vector<std::string> files;
  for (const Tier& tier : options_.tiers) {
    const absl::StatusOr<std::vector<DayPath>> days = layout_.days(tier);
    if (!days.ok()) return days.status();
    for (const DayPath& day : *days)
      if (day.day >= from_day) files.push_back(day.path);
  }
  return files;
}

absl::Status SqliteStore::remove_day(const Tier& tier, const DayPath& day) {
  if (tier.name == finest().name && day.day >= floor_day_) {
    if (absl::Status status = catalog_->set_setting(kFloorDay, day.day + 1); !status.ok()) return status;
    floor_day_ = day.day + 1;
    days_.erase(day.day);
  }
  return Layout::remove_database(day.path);
}

std::int64_t SqliteStore::bytes() const {
  std::int64_t bytes = Layout::database_bytes(layout_.catalog());
  const absl::StatusOr<std::vector<std::string>> files = day_files(kAllDays);
  if (!files.ok()) return bytes;
  for (const std::string& file : *files) bytes += Layout::database_bytes(file);
  return bytes;
}

}  // namespace siprof::collector::sqlite
