// SPDX-License-Identifier: Apache-2.0
// Day files that an earlier siprof-collector has made: read as they are, and brought up to date when written
// to.
#include <sqlite3.h>

#include <catch2/catch.hpp>

#include "absl/strings/str_cat.h"
#include "test/collector/store_support.h"

namespace siprof::collector::test {
namespace {

constexpr char kDay[] = "store/10s/2023-11-14.db";
constexpr char kMemory[] = "process.memory.usage";

void run_sql(const std::string& file, const std::string& sql) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK);
  char* error = nullptr;
  const int code = sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error);
  INFO(sql << ": " << (error != nullptr ? error : ""));
  CHECK(code == SQLITE_OK);
  sqlite3_free(error);
  sqlite3_close(db);
}

std::int64_t version_of(const std::string& file) {
  auto db = sqlite::Database::open(file, sqlite::Open::kReader);
  REQUIRE(db.ok());
  return *db->query_integer("PRAGMA user_version");
}

// A day file as that version wrote it, with a profile in it.
void make_store(const TempDir& dir, int version) {
  {
    TestStore store(dir.path("store"));
    store.add(ProfileSpec{}, "main 5");
  }
  run_sql(dir.path(kDay), "DROP TABLE metrics; DROP TABLE metric_range; DROP TABLE metric_name");
  if (version == 1) run_sql(dir.path(kDay), "DROP TABLE reference");
  run_sql(dir.path(kDay), absl::StrCat("PRAGMA user_version=", version));
  run_sql(dir.path("store/catalog.db"), "PRAGMA user_version=1");
}

TEST_CASE("the catalogue of a version without metrics is taken over, so that such a collector refuses it") {
  const TempDir dir;
  make_store(dir, 2);
  { TestStore store(dir.path("store")); }
  CHECK(version_of(dir.path("store/catalog.db")) == sqlite::kLayoutVersion);
  { CHECK(cpu_total(TestStore(dir.path("store"))) == 5); }
  run_sql(dir.path("store/catalog.db"), absl::StrCat("PRAGMA user_version=", sqlite::kLayoutVersion + 1));
  const auto refused = sqlite::SqliteStore::open({dir.path("store"), default_tiers(), 0, {}});
  CHECK(absl::IsFailedPrecondition(refused.status()));
  CHECK(refused.status().message().find("use the version that made it, or another --store") !=
        std::string::npos);
}

TEST_CASE("a day of a version without metrics is read, and upgraded by the first write") {
  const TempDir dir;
  make_store(dir, 2);
  TestStore store(dir.path("store"));
  CHECK(cpu_total(store) == 5);
  const auto names = store.reader->metric_names(select());
  INFO(names.status().ToString());
  REQUIRE(names.ok());
  CHECK(names->empty());
  CHECK(version_of(dir.path(kDay)) == 2);  // reading changes nothing
  store.add(MetricsSpec{}, {memory(4096)});
  CHECK(version_of(dir.path(kDay)) == sqlite::kDayVersion);
  store.add(ProfileSpec{}, "main 7");
  CHECK(cpu_total(store) == 12);
  CHECK(windows_of(store, select(), kMemory) == absl::StrCat(" ", kNowS - 60, " ", kNowS - 50, " 4096"));
  CHECK(store.store->maintain().ok());
}

TEST_CASE("a day of the first version takes metrics and stays what it is, so that its names aren't swept") {
  const TempDir dir;
  make_store(dir, 1);
  for (int run = 1; run <= 2; ++run) {
    TestStore store(dir.path("store"));
    store.add(MetricsSpec{.sequence = 0, .start_s = kNowS - 60 - run}, {memory(run)});
    CHECK(version_of(dir.path(kDay)) == 1);
    CHECK(cpu_total(store) == 5);
    CHECK(store.store->maintain().ok());
    CHECK(store.reader->metric_names(select())->size() == 1);
  }
}

TEST_CASE("a day of a later version is refused in one line that says what to do") {
  const TempDir dir;
  make_store(dir, sqlite::kDayVersion + 1);
  TestStore store(dir.path("store"));
  const auto refused = store.write(MetricsSpec{}, {memory(1)});
  CHECK(absl::IsFailedPrecondition(refused.status()));
  CHECK(refused.status().message().find("use the version that made it, or another --store") !=
        std::string::npos);
}

}  // namespace
}  // namespace siprof::collector::test
