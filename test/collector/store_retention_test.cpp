// SPDX-License-Identifier: Apache-2.0
// What the store lets go of, and that everything else stays: days, and names that no day uses any more.
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "collector/store/retention.h"
#include "test/collector/store_support.h"

namespace siprof::collector::test {
namespace {

TEST_CASE("retention removes whole days, and a day that was removed doesn't come back") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add({.start_s = kNowS - 86400}, "main 1");
  store.add({}, "main 2");
  const std::string yesterday = dir.path("store/10s/2023-11-13.db");
  REQUIRE(std::filesystem::exists(yesterday));
  store.now_s = kNowS + 2 * 86400 - 3600;
  REQUIRE(store.store->maintain().ok());
  CHECK_FALSE(std::filesystem::exists(yesterday));
  CHECK_FALSE(std::filesystem::exists(yesterday + "-wal"));
  CHECK(cpu_total(store, select("shop", 0, kNowS)) == 2);
  store.now_s = kNowS;
  CHECK(absl::IsOutOfRange(store.write({.sequence = 5, .start_s = kNowS - 86400}, "main 1").status()));
}

TEST_CASE("above its size limit the store drops its oldest days, as many as it takes") {
  const TempDir dir;
  TestStore store(dir.path("store"), /*max_bytes=*/4 << 20);
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "main;of_two_days_ago_" + std::to_string(i) + " 1\n";
  store.add({.start_s = kNowS - 2 * 86400 + 3600}, many);
  store.add({.start_s = kNowS - 86400}, "main 2");
  many.clear();
  for (int i = 0; i < 10'000; ++i) many += "main;of_today_" + std::to_string(i) + " 1\n";
  store.add({}, many);
  REQUIRE(store.store->bytes() > 4 << 20);
  store.add({}, "main 5");
  CHECK(store.store->bytes() < 4 << 20);
  CHECK_FALSE(std::filesystem::exists(dir.path("store/10s/2023-11-12.db")));
  CHECK(cpu_total(store, select("shop", 0, kNowS)) == 10'007);
}

TEST_CASE("a store whose current day alone is above the limit refuses, says so and keeps its history") {
  const TempDir dir;
  TestStore store(dir.path("store"), /*max_bytes=*/1 << 20);
  store.add({.start_s = kNowS - 86400}, "main 1");
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += "main;function_number_" + std::to_string(i) + " 1\n";
  store.add({}, many);
  for (int i = 0; i < 2; ++i) {
    const auto refused = store.write({.sequence = 9}, "main 1");
    CHECK(absl::IsResourceExhausted(refused.status()));
    CHECK(refused.status().message().find("raise --store-bytes") != std::string::npos);
  }
  CHECK_FALSE(store.store->ready().ok());
  CHECK(cpu_total(store, select("shop", 0, kNowS)) == 20'001);
  store.now_s = kNowS + 86400;  // that day is history now, and goes
  CHECK(store.write({.sequence = 10, .start_s = store.now_s}, "main 7").ok());
  CHECK(cpu_total(store, select("shop", 0, store.now_s + 1)) == 7);
}

TEST_CASE("names that no day uses any more leave the catalogue, and what is left reads as before") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  const auto one_day = [&store](std::int64_t day) {
    store.now_s = kNowS + day * 86400;
    for (int run = 0; run < 300; ++run) {
      const std::string id = std::to_string(day) + "_" + std::to_string(run);
      store.add({.agent = "agent" + id,
                 .start_s = store.now_s - 60,
                 .service = run % 3 == 0 ? "job" + id : "shop",
                 .labels = {{"siprof.run.id", "run" + id}, {"host.name", "a"}},
                 .counters = {{"samples", 3}, {"counter_" + id, 1}}},
                "main;work;of_" + id + " 5\nmain;loop 1");
    }
  };
  one_day(0);
  CHECK(cpu_total(store, select("shop", kNowS - 60)) == 1200);  // the reader knows the old names by now
  REQUIRE(store.store->maintain().ok());
  const std::int64_t one = sqlite::Layout::database_bytes(dir.path("store/catalog.db"));
  for (std::int64_t day = 1; day <= 5; ++day) {
    one_day(day);
    REQUIRE(store.store->maintain().ok());
    Selection today = select("shop", store.now_s - 60, store.now_s);
    today.counters = true;
    const auto stacks = store.reader->stacks(today, "cpu");
    INFO(stacks.status().ToString());
    REQUIRE(stacks.ok());
    CHECK(stacks->profiles == 200);
    CHECK(stacks->nodes.size() == 3 + 200);
    CHECK(stacks->counters.size() == 1 + 200);
    CHECK(std::ranges::count(stacks->strings, "of_" + std::to_string(day) + "_298") == 1);
    CHECK(cpu_total(store, select("shop", store.now_s - 86400 - 60, store.now_s)) == 2400);
  }
  // Three days are kept.
  CHECK(sqlite::Layout::database_bytes(dir.path("store/catalog.db")) < 4 * one);
  const auto labels = store.reader->labels("shop", {});
  REQUIRE(labels.ok());
  CHECK(labels->at("siprof.run.id").size() == 600);
  const auto services = store.reader->services();
  REQUIRE(services.ok());
  CHECK(services->size() == 1 + 300);
  CHECK(absl::IsNotFound(store.reader->stacks(select("job0_0"), "cpu").status()));
}

TEST_CASE("an id isn't given out again after its name was swept") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add({.start_s = kNowS - 60, .labels = {{"host.name", "a"}}}, "main;old 1");
  store.now_s = kNowS + 3 * 86400;
  REQUIRE(store.store->maintain().ok());
  store.add({.start_s = store.now_s - 60, .labels = {{"host.name", "b"}}}, "start;new 2\nmain;old 4");
  const auto stacks = store.reader->stacks(select("shop", 0, store.now_s), "cpu");
  REQUIRE(stacks.ok());
  CHECK(stacks->nodes.size() == 4);
  CHECK(cpu_total(store, select("shop", 0, store.now_s)) == 6);
  const auto labels = store.reader->labels("shop", {});
  REQUIRE(labels.ok());
  CHECK(labels->at("host.name") == std::set<std::string>{"b"});
}

TEST_CASE("queries beside sweeps give whole answers") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.now_s = kNowS;
  store.add({.start_s = kNowS}, "main;kept 1");
  std::atomic<bool> done = false;
  std::atomic<int> wrong = 0;
  std::thread reader([&] {
    while (!done) {
      const auto stacks = store.reader->stacks(select("shop", kNowS - 30 * 86400, kNowS + 1), "cpu");
      const auto labels = store.reader->labels("", {});
      const bool busy = absl::IsUnavailable(stacks.status());
      if (!labels.ok() && !absl::IsUnavailable(labels.status())) ++wrong;
      if (!busy && (!stacks.ok() || std::ranges::count(stacks->strings, "kept") != 1)) ++wrong;
      if (stacks.ok() && std::ranges::count(stacks->strings, "[unknown]") != 0) ++wrong;
    }
  });
  for (int i = 0; i < 40; ++i) {
    store.now_s = kNowS - (40 - i) * 86400;
    store.add({.start_s = store.now_s, .labels = {{"run", std::to_string(i)}}},
              "a;b" + std::to_string(i) + " 1");
    CHECK(store.store->maintain().ok());
  }
  done = true;
  reader.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace siprof::collector::test
