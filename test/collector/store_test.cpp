// SPDX-License-Identifier: Apache-2.0
// The embedded store: what is written is read, once, until retention removes it.
#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "collector/store/retention.h"
#include "collector/store/sqlite/stack_codec.h"
#include "test/collector/store_support.h"

namespace siprof::collector::test {
namespace {

TEST_CASE("a profile that was written is read with its stacks, names and lines") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add({.labels = {{"service.version", "1.2"}, {"host.name", "web-1"}}},
            "main;work 700\nmain;idle+wait 300\n? 5");
  const auto stacks = store.reader->stacks(select(), "cpu");
  REQUIRE(stacks.ok());
  CHECK(stacks->profiles == 1);
  CHECK(stacks->period == 10'000'000);
  CHECK(stacks->types == std::vector<ValueType>{{"cpu", "nanoseconds"}});
  std::map<std::string, std::int64_t> by_stack;
  for (std::size_t i = 0; i < stacks->nodes.size(); ++i) {
    if (stacks->values[i] == 0) continue;
    std::string path;
    for (auto at = static_cast<std::int32_t>(i); at >= 0;
         at = stacks->nodes[static_cast<std::size_t>(at)].parent) {
      const StackFrame& frame = stacks->frames[stacks->nodes[static_cast<std::size_t>(at)].frame];
      path =
          stacks->strings[frame.name] + (frame.inlined ? "(inlined)" : "") + (path.empty() ? "" : ";" + path);
    }
    by_stack[path] = stacks->values[i];
  }
  CHECK(by_stack == std::map<std::string, std::int64_t>{
                        {"main;work", 700}, {"main;idle;wait(inlined)", 300}, {"[shop]", 5}});
  const auto services = store.reader->services();
  REQUIRE(services.ok());
  REQUIRE(services->size() == 1);
  const ServiceInfo& service = services->front();
  CHECK(service.service == "shop");
  CHECK(service.first_ns == (kNowS - 60) * kSecondNs);
  CHECK(service.versions == std::set<std::string>{"1.2"});
  CHECK(service.hosts == std::set<std::string>{"web-1"});
  REQUIRE(service.kinds.size() == 1);
  CHECK(service.kinds[0].types == std::vector<ValueType>{{"samples", "count"}, {"cpu", "nanoseconds"}});
}

TEST_CASE("the same sequence of the same agent counts once, in one batch, later and after a restart") {
  const TempDir dir;
  {
    TestStore store(dir.path("store"));
    const std::vector<IncomingProfile> twice(2, make_profile({.sequence = 7}, "main 100"));
    const auto results = store.store->write(twice);
    REQUIRE(results[0].ok());
    REQUIRE(results[1].ok());
    CHECK(*results[0] == Stored::kNew);
    CHECK(*results[1] == Stored::kDuplicate);
    CHECK(*store.write({.sequence = 7}, "main 100") == Stored::kDuplicate);
  }
  TestStore store(dir.path("store"));
  CHECK(*store.write({.sequence = 7}, "main 100") == Stored::kDuplicate);
  CHECK(*store.write({.agent = "ffff", .sequence = 7}, "main 20") == Stored::kNew);
  CHECK(*store.write({.sequence = 8}, "main 3") == Stored::kNew);
  CHECK(cpu_total(store) == 123);
}

TEST_CASE("samples with the same stack are summed and an empty stack is kept") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add({}, "main;a 1\nmain;a 2\nmain 4\n 8");
  CHECK(cpu_total(store) == 15);
  const auto stacks = store.reader->stacks(select(), "");
  REQUIRE(stacks.ok());
  CHECK(stacks->without_stack == std::vector<std::int64_t>{1, 8});
  CHECK(stacks->nodes.size() == 2);
}

TEST_CASE("a range takes the profiles that start in it, the end excluded, across midnight") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  const std::int64_t midnight = kNowS / 86400 * 86400;
  store.add({.start_s = midnight - 10}, "main 1");
  store.add({.start_s = midnight}, "main 10");
  store.add({.start_s = midnight + 10}, "main 100");
  CHECK(std::filesystem::exists(dir.path("store/10s/2023-11-13.db")));
  CHECK(std::filesystem::exists(dir.path("store/10s/2023-11-14.db")));
  CHECK(cpu_total(store, select("shop", midnight - 10, midnight + 11)) == 111);
  CHECK(cpu_total(store, select("shop", midnight - 9, midnight + 10)) == 10);
  CHECK(cpu_total(store, select("shop", midnight - 10, midnight)) == 1);
}

TEST_CASE("match takes either value of one label and needs all labels") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add({.labels = {{"service.version", "1"}, {"host.name", "a"}}}, "main 1");
  store.add({.labels = {{"service.version", "2"}, {"host.name", "a"}}}, "main 10");
  store.add({.labels = {{"service.version", "2"}, {"host.name", "b"}}}, "main 100");
  store.add({}, "main 1000");
  Selection selection = select();
  CHECK(cpu_total(store, selection) == 1111);
  selection.matches = {{"service.version", {"1", "2"}}};
  CHECK(cpu_total(store, selection) == 111);
  selection.matches = {{"service.version", {"2"}}, {"host.name", {"a"}}};
  CHECK(cpu_total(store, selection) == 10);
  selection.matches = {{"service.version", {""}}};
  CHECK(cpu_total(store, selection) == 1000);
  const auto labels = store.reader->labels("shop", select().range);
  REQUIRE(labels.ok());
  CHECK(labels->at("host.name") == std::set<std::string>{"a", "b"});
}

TEST_CASE("totals are summed per step and label without reading stacks") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  const std::int64_t start = (kNowS - 600) / 60 * 60;
  store.add({.start_s = start, .labels = {{"host.name", "a"}}}, "main 1");
  store.add({.start_s = start + 50, .labels = {{"host.name", "a"}}}, "main 2");
  store.add({.start_s = start + 60, .labels = {{"host.name", "b"}}}, "main 4");
  const auto totals = store.reader->totals(select(), "cpu", 60 * kSecondNs, "host.name");
  REQUIRE(totals.ok());
  CHECK(totals->unit == "nanoseconds");
  CHECK(totals->points.at("a") == std::map<std::int64_t, std::int64_t>{{start * kSecondNs, 3}});
  CHECK(totals->points.at("b") == std::map<std::int64_t, std::int64_t>{{(start + 60) * kSecondNs, 4}});
}

TEST_CASE("a window longer than a step is spread over the steps it covers and its sum stays") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  const std::int64_t start = (kNowS - 600) / 60 * 60;
  IncomingProfile minute = make_profile({.start_s = start + 5}, "main 6000000001");
  minute.duration_ns = 60 * kSecondNs;
  REQUIRE(store.store->write({&minute, 1}).front().ok());
  const auto totals = store.reader->totals(select(), "cpu", 10 * kSecondNs, "");
  REQUIRE(totals.ok());
  const std::map<std::int64_t, std::int64_t>& points = totals->points.at("");
  REQUIRE(points.size() == 7);
  std::int64_t sum = 0;
  for (const auto& [at, value] : points) {
    const bool half = at == start * kSecondNs || at == (start + 60) * kSecondNs;
    CHECK(std::abs(value - (half ? 500'000'000 : 1'000'000'000)) <= 1);
    sum += value;
  }
  CHECK(sum == 6'000'000'001);
}

TEST_CASE("a level is averaged over time, and what lives at one moment adds up") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  const std::int64_t start = (kNowS - 600) / 60 * 60;
  const auto heap = [start](const std::string& agent, std::int64_t after) {
    return ProfileSpec{.agent = agent, .start_s = start + after, .kind = "heap"};
  };
  store.add(heap("a", 0), "main;keep 100");
  store.add(heap("a", 0), "main;keep 20");  // another process, the same window
  store.add(heap("a", 10), "main;keep 180");
  store.add(heap("b", 0), "main;keep 1000");
  store.add(heap("b", 10), "main;keep 1000");
  // The next start of "a": another agent with another run id, and nothing more in memory.
  ProfileSpec restarted = heap("c", 20);
  restarted.labels = {{"siprof.run.id", "2"}};
  store.add(restarted, "main;keep 150");
  store.add(heap("b", 20), "main;keep 1000");
  Selection selection = select();
  selection.kind = "heap";
  const auto stacks = store.reader->stacks(selection, "inuse_space");
  REQUIRE(stacks.ok());
  REQUIRE(stacks->values.size() == 2);
  CHECK(stacks->values[1] == (120 + 180) / 2 + 1000);
  const auto totals = store.reader->totals(selection, "inuse_space", 60 * kSecondNs, "");
  REQUIRE(totals.ok());
  CHECK(totals->points.at("").at(start * kSecondNs) == 1150);
  // By run each has its own mean, over the time that it ran.
  const auto by_run = store.reader->totals(selection, "inuse_space", 60 * kSecondNs, "siprof.run.id");
  REQUIRE(by_run.ok());
  CHECK(by_run->points.at("2").at(start * kSecondNs) == 150);
}

TEST_CASE("a level has no gaps where windows are longer than steps or begin between them") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  const std::int64_t start = (kNowS - 600) / 60 * 60;
  for (int window = 0; window < 3; ++window) {
    IncomingProfile profile = make_profile({.sequence = static_cast<std::uint64_t>(window) + 1,
                                            .start_s = start + 5 + 20 * window,
                                            .kind = "heap"},
                                           absl::StrCat("main;keep ", 100 * (window + 1)));
    profile.duration_ns = 20 * kSecondNs;
    REQUIRE(store.store->write({&profile, 1}).front().ok());
  }
  Selection selection = select();
  selection.kind = "heap";
  const auto totals = store.reader->totals(selection, "inuse_space", 10 * kSecondNs, "");
  REQUIRE(totals.ok());
  std::vector<std::int64_t> levels;
  for (const auto& [at, value] : totals->points.at("")) levels.push_back(value);
  // The third step is half the first window's and half the second's.
  CHECK(levels == std::vector<std::int64_t>{100, 100, 150, 200, 250, 300, 300});
}

TEST_CASE(
    "a profile from before the retention or from the future is refused and the others of its batch are not") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  const std::vector<IncomingProfile> batch = {
      make_profile({.sequence = 1, .start_s = kNowS - 49 * 3600}, "main 1"),
      make_profile({.sequence = 2}, "main 2"),
      make_profile({.sequence = 3, .start_s = kNowS + 7200}, "main 4")};
  const auto results = store.store->write(batch);
  CHECK(absl::IsOutOfRange(results[0].status()));
  CHECK(results[1].ok());
  CHECK(absl::IsInvalidArgument(results[2].status()));
  CHECK(cpu_total(store, select("shop", 0, kNowS + 86400)) == 2);
}

TEST_CASE("a damaged profile is refused and changes nothing") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  std::vector<IncomingProfile> batch(5, make_profile({}, "main;a 1"));
  batch[0].profile.mutable_sample(0)->set_location_id(0, 99);
  batch[1].profile.mutable_location(0)->mutable_line(0)->set_function_id(99);
  batch[2].profile.mutable_sample(0)->set_value(0, -1);
  batch[3].profile.mutable_function(0)->set_name(1'000'000);
  batch[4].profile.mutable_sample(0)->add_value(1);
  for (const auto& result : store.store->write(batch)) CHECK(absl::IsInvalidArgument(result.status()));
  CHECK(store.store->ready().ok());
  const auto services = store.reader->services();
  REQUIRE(services.ok());
  CHECK(services->empty());
}

TEST_CASE("queries beside the writer see whole batches, never fewer than before") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add({}, "main 1");
  std::atomic<bool> done = false;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      std::uint64_t last = 0;
      while (!done) {
        const auto stacks = store.reader->stacks(select(), "cpu");
        const auto services = store.reader->services();
        if (!stacks.ok() || !services.ok() || stacks->profiles < last || stacks->profiles % 2 != 1) ++wrong;
        if (stacks.ok()) last = stacks->profiles;
      }
    });
  }
  for (std::uint64_t i = 1; i <= 400; i += 2) {
    const std::string folded = "main;f" + std::to_string(i) + " 1";
    const std::vector<IncomingProfile> batch = {make_profile({.sequence = i}, folded),
                                                make_profile({.sequence = i + 1}, folded)};
    for (const auto& result : store.store->write(batch)) CHECK(result.ok());
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(wrong == 0);
  CHECK(cpu_total(store) == 401);
}

TEST_CASE("a second collector on the same store is refused with the first one's pid") {
  const TempDir dir;
  const TestStore store(dir.path("store"));
  const auto second = sqlite::SqliteStore::open({dir.path("store"), default_tiers(), 0, {}});
  CHECK(absl::IsFailedPrecondition(second.status()));
  CHECK(second.status().message().find("pid " + std::to_string(::getpid())) != std::string::npos);
}

TEST_CASE("a day whose file is there and whose tables aren't yet is read as empty") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add({.start_s = kNowS - 60}, "main 5");
  std::ofstream(dir.path("store/10s/2023-11-13.db"));
  const auto services = store.reader->services();
  INFO(services.status().ToString());
  REQUIRE(services.ok());
  CHECK(services->size() == 1);
  CHECK(cpu_total(store, select("shop", kNowS - 2 * 86400)) == 5);
}

TEST_CASE("the store's folder is closed to other users") {
  const TempDir dir;
  const TestStore store(dir.path("store"));
  struct stat info {};
  REQUIRE(::stat(dir.path("store").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0700);
}

TEST_CASE(
    "encoded stacks come back and every cut or changed byte is an error or other numbers, never a crash") {
  sqlite::StackValues stacks{{0, 1, 5, 4'000'000'000}, {}, 2};
  for (std::int64_t i = 0; i < 8; ++i) stacks.values.push_back(i << (7 * i));
  const std::string bytes = sqlite::StackEncoder().encode(stacks);
  sqlite::StackDecoder decoder;
  sqlite::StackValues back;
  REQUIRE(decoder.decode(bytes, back).ok());
  CHECK(back.ids == stacks.ids);
  CHECK(back.values == stacks.values);
  CHECK(back.types == 2);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut)
    CHECK_FALSE(decoder.decode(bytes.substr(0, cut), back).ok());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0xff);
    (void)decoder.decode(changed, back);
  }
}

TEST_CASE("retention is read from text and a wrong one says what to write") {
  const auto tiers = parse_retention("10s=2d,1h=5y");
  REQUIRE(tiers.ok());
  CHECK(tiers->at(0).keep_ns == 2 * 86400 * kSecondNs);
  CHECK(tiers->at(1).keep_ns == 14 * 86400 * kSecondNs);
  CHECK(tiers->at(3).keep_ns == 5 * 365 * 86400 * kSecondNs);
  for (const char* wrong :
       {"", "10s", "10s=", "10s=5", "10s=-1d", "10s=9s", "5s=1h", "10s=99999999999999d", "10s=1h,"})
    CHECK(absl::IsInvalidArgument(parse_retention(wrong).status()));
}

}  // namespace
}  // namespace siprof::collector::test
