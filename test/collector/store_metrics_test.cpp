// SPDX-License-Identifier: Apache-2.0
// Runtime metrics in the embedded store: what was written is read, once, also after kill -9, and goes with
// its day.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <limits>
#include <thread>

#include "absl/strings/str_cat.h"
#include "collector/store/sqlite/metric_codec.h"
#include "test/collector/store_support.h"

namespace siprof::collector::test {
namespace {

constexpr char kMemory[] = "process.memory.usage";
constexpr char kFaults[] = "process.paging.faults";

TEST_CASE("metrics that were written are read with name, unit, type, labels and window") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add(MetricsSpec{}, {memory(4096), memory(0.5, "23"), faults(7), faults(2, "17", "major")});
  const auto names = store.reader->metric_names(select());
  INFO(names.status().ToString());
  REQUIRE(names.ok());
  CHECK(*names == std::vector<MetricName>{{kMemory, "By", MetricType::kGauge},
                                          {kFaults, "{fault}", MetricType::kCounter}});
  const auto history = store.reader->metric_history(select(), kMemory, "");
  REQUIRE(history.ok());
  CHECK(history->metric == MetricName{kMemory, "By", MetricType::kGauge});
  CHECK(windows_of(store, select(), kMemory) == absl::StrCat(" ", kNowS - 60, " ", kNowS - 50, " 4096.5"));
  CHECK(windows_of(store, select(), kMemory, "pid") ==
        absl::StrCat("17 ", kNowS - 60, " ", kNowS - 50, " 4096\n23 ", kNowS - 60, " ", kNowS - 50, " 0.5"));
  CHECK(windows_of(store, select(), kFaults, "process.paging.fault_type") ==
        absl::StrCat("major ", kNowS - 60, " ", kNowS - 50, " 2\nminor ", kNowS - 60, " ", kNowS - 50, " 7"));
  const auto unknown = store.reader->metric_history(select(), "process.nothing", "");
  REQUIRE(unknown.ok());
  CHECK_FALSE(unknown->metric.has_value());
  CHECK(absl::IsNotFound(store.reader->metric_history(select("nobody"), kMemory, "").status()));
  CHECK(absl::IsNotFound(store.reader->metric_names(select("nobody")).status()));
}

TEST_CASE("match and by take attributes of the series and labels of the points") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add(MetricsSpec{.attributes = {{"host.name", "a"}}}, {memory(1), memory(2, "23"), faults(4)});
  store.add(MetricsSpec{.agent = std::string(32, 'b'), .attributes = {{"host.name", "b"}}}, {memory(8)});
  const auto sum = [&store](const Matches& matches) {
    Selection selection = select();
    selection.matches = matches;
    const auto history = store.reader->metric_history(selection, kMemory, "");
    REQUIRE(history.ok());
    double all = 0;
    for (const auto& [line, windows] : history->lines)
      for (const MetricWindow& window : windows) all += window.value;
    return all;
  };
  CHECK(sum({}) == 11);
  CHECK(sum({{"host.name", {"a"}}}) == 3);
  CHECK(sum({{"host.name", {"a", "b"}}, {"pid", {"17"}}}) == 9);
  CHECK(sum({{"pid", {"23"}}}) == 2);
  CHECK(sum({{"pid", {"99"}}}) == 0);
  CHECK(sum({{"cpu.mode", {""}}}) == 11);  // points without the label
  CHECK(sum({{"pid", {""}}}) == 0);
  const std::string at = absl::StrCat(" ", kNowS - 60, " ", kNowS - 50, " ");
  CHECK(windows_of(store, select(), kMemory, "host.name") == "a" + at + "3\nb" + at + "8");
  Selection only_b = select();
  only_b.matches = {{"host.name", {"b"}}};
  const auto names = store.reader->metric_names(only_b);
  REQUIRE(names.ok());
  REQUIRE(names->size() == 1);
  CHECK(names->front().name == kMemory);
}

TEST_CASE("the same sequence of metrics counts once: in one batch, later and after a restart") {
  const TempDir dir;
  {
    TestStore store(dir.path("store"));
    const std::vector<IncomingMetrics> twice(2, make_metrics({.sequence = 7}, {faults(5)}));
    const auto results = store.store->write_metrics(twice);
    REQUIRE(results.size() == 2);
    CHECK(*results[0] == Stored::kNew);
    CHECK(*results[1] == Stored::kDuplicate);
    // A profile of that number is another message.
    CHECK(*store.write(ProfileSpec{.sequence = 7}, "main 1") == Stored::kNew);
    CHECK(*store.write(MetricsSpec{.agent = std::string(32, 'c'), .sequence = 7}, {faults(5)}) ==
          Stored::kNew);
  }
  TestStore store(dir.path("store"));
  CHECK(*store.write(MetricsSpec{.sequence = 7}, {faults(5)}) == Stored::kDuplicate);
  CHECK(windows_of(store, select(), kFaults).size() ==
        2 * absl::StrCat(" ", kNowS, " ", kNowS, " 5").size() + 1);
}

TEST_CASE("a range takes the windows that start in it, the end excluded, across midnight") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  constexpr std::int64_t kMidnight = 1'699'920'000;
  for (const std::int64_t start : {kMidnight - 10, kMidnight, kMidnight + 10})
    store.add(MetricsSpec{.start_s = start}, {memory(static_cast<double>(start - kMidnight + 100))});
  CHECK(windows_of(store, select("shop", kMidnight - 10, kMidnight + 10), kMemory) ==
        absl::StrCat(" ", kMidnight - 10, " ", kMidnight, " 90\n ", kMidnight, " ", kMidnight + 10, " 100"));
  CHECK(windows_of(store, select("shop", kMidnight + 1, kMidnight + 10), kMemory).empty());
}

TEST_CASE("windows of one sender that overlap hold a level once, and two messages of one window add") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  const std::int64_t start = kNowS - 100;
  store.add(MetricsSpec{.start_s = start}, {memory(10), faults(1)});
  store.add(MetricsSpec{.start_s = start}, {memory(5, "23")});            // the rest of the same window
  store.add(MetricsSpec{.start_s = start + 7}, {memory(20), faults(1)});  // the clock was set back
  store.add(MetricsSpec{.start_s = start + 8, .seconds = 2}, {memory(40)});
  CHECK(windows_of(store, select(), kMemory) == absl::StrCat(" ", start, " ", start + 10, " 10\n ", start,
                                                             " ", start + 10, " 5\n ", start + 10, " ",
                                                             start + 17, " 20"));
  CHECK(windows_of(store, select(), kFaults) ==
        absl::StrCat(" ", start, " ", start + 10, " 1\n ", start + 7, " ", start + 17, " 1"));
  // Another agent's process runs beside it.
  store.add(MetricsSpec{.agent = std::string(32, 'd'), .start_s = start + 5}, {memory(100)});
  CHECK(windows_of(store, select(), kMemory).find(absl::StrCat(" ", start + 5, " ", start + 15, " 100")) !=
        std::string::npos);
}

TEST_CASE("of a name with two units the latest is answered, and both are listed") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  MetricPoint other = memory(3);
  other.metric.unit = "KiBy";
  store.add(MetricsSpec{.start_s = kNowS - 100}, {memory(4096)});
  store.add(MetricsSpec{.start_s = kNowS - 50}, {other});
  const auto names = store.reader->metric_names(select());
  REQUIRE(names.ok());
  CHECK(names->size() == 2);
  const auto history = store.reader->metric_history(select(), kMemory, "");
  REQUIRE(history.ok());
  CHECK(history->metric->unit == "KiBy");
  CHECK(windows_of(store, select(), kMemory) == absl::StrCat(" ", kNowS - 50, " ", kNowS - 40, " 3"));
}

TEST_CASE("a service that sends only metrics is listed, and kinds are profiles alone") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add(MetricsSpec{.service = "quiet", .attributes = {{"service.version", "3"}}}, {memory(1)});
  store.add(MetricsSpec{}, {memory(1)});
  store.add(ProfileSpec{}, "main 1");
  const auto services = store.reader->services();
  REQUIRE(services.ok());
  REQUIRE(services->size() == 2);
  CHECK(services->at(0).service == "quiet");
  CHECK(services->at(0).kinds.empty());
  CHECK(services->at(0).versions == std::set<std::string>{"3"});
  CHECK(services->at(0).first_ns == (kNowS - 60) * kSecondNs);
  REQUIRE(services->at(1).kinds.size() == 1);
  CHECK(services->at(1).kinds.front().kind == "cpu");
  const auto labels = store.reader->labels("quiet", {});
  REQUIRE(labels.ok());
  CHECK(labels->contains("service.version"));
}

TEST_CASE("metrics from outside of the store's time and broken ones are refused and change nothing") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  CHECK(absl::IsOutOfRange(store.write(MetricsSpec{.start_s = kNowS - 3 * 86'400}, {memory(1)}).status()));
  CHECK(absl::IsInvalidArgument(store.write(MetricsSpec{.start_s = kNowS + 7'200}, {memory(1)}).status()));
  CHECK(absl::IsInvalidArgument(store.write(MetricsSpec{}, {memory(std::nan(""))}).status()));
  MetricPoint two_lines = memory(1);
  two_lines.metric.name = "a\nb";
  CHECK(absl::IsInvalidArgument(store.write(MetricsSpec{}, {two_lines}).status()));
  CHECK(absl::IsInvalidArgument(store.write(MetricsSpec{.service = ""}, {memory(1)}).status()));
  store.add(MetricsSpec{}, {memory(2)});
  CHECK(windows_of(store, select(), kMemory) == absl::StrCat(" ", kNowS - 60, " ", kNowS - 50, " 2"));
}

TEST_CASE("metrics go with their day, and the names that no day uses leave the catalogue") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  const auto one_day = [&store](std::int64_t day) {
    store.now_s = kNowS + day * 86'400;
    for (int run = 0; run < 300; ++run) {
      MetricPoint point = memory(run, absl::StrCat(day, "_", run));
      point.metric.name = absl::StrCat("metric.of_", day, ".", run % 7);
      store.add(MetricsSpec{.agent = absl::StrCat("agent", day, "_", run),
                            .start_s = store.now_s - 60,
                            .attributes = {{"siprof.run.id", absl::StrCat(day, "_", run)}}},
                {point});
    }
  };
  one_day(0);
  CHECK(store.reader->metric_names(select())->size() == 7);  // the reader knows the old names by now
  REQUIRE(store.store->maintain().ok());
  const std::int64_t one = sqlite::Layout::database_bytes(dir.path("store/catalog.db"));
  for (std::int64_t day = 1; day <= 5; ++day) {
    one_day(day);
    REQUIRE(store.store->maintain().ok());
    const std::string name = absl::StrCat("metric.of_", day, ".3");
    const Selection today = select("shop", store.now_s - 3600, store.now_s);
    const auto history = store.reader->metric_history(today, name, "pid");
    INFO(history.status().ToString());
    REQUIRE(history.ok());
    CHECK(history->lines.size() == 43);
    CHECK(history->lines.contains(absl::StrCat(day, "_3")));
  }
  // Three days are kept.
  CHECK_FALSE(std::filesystem::exists(dir.path("store/10s/2023-11-14.db")));
  CHECK(sqlite::Layout::database_bytes(dir.path("store/catalog.db")) < 4 * one);
  const auto names = store.reader->metric_names(select("shop", 0, store.now_s));
  REQUIRE(names.ok());
  CHECK(names->size() == 3 * 7);
  const auto labels = store.reader->labels("shop", {});
  REQUIRE(labels.ok());
  CHECK(labels->at("siprof.run.id").size() == 3 * 300);
}

// Writes until it is killed; after each batch its last sequence goes into `acknowledged`.
[[noreturn]] void write_for_ever(const std::string& dir, std::uint64_t first, int acknowledged) {
  auto store = sqlite::SqliteStore::open({dir, default_tiers(), 0, [] { return kNowS * kSecondNs; }});
  if (!store.ok()) ::_exit(3);
  for (std::uint64_t sequence = first;; sequence += 3) {
    std::vector<IncomingMetrics> batch;
    for (std::uint64_t i = sequence; i < sequence + 3; ++i) {
      // Two days, a new process every time: both files and the catalogue are written.
      const std::int64_t start_s = kNowS - (i % 2 == 0 ? 60 : 86'460);
      batch.push_back(make_metrics({.sequence = i, .start_s = start_s}, {faults(1, absl::StrCat(i))}));
    }
    for (const auto& result : (*store)->write_metrics(batch))
      if (!result.ok()) ::_exit(4);
    const std::uint64_t last = sequence + 2;
    if (::write(acknowledged, &last, sizeof last) != sizeof last) ::_exit(5);
  }
}

std::uint64_t killed_while_writing(const std::string& dir, std::uint64_t first, int milliseconds) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) write_for_ever(dir, first, ends[1]);
  ::close(ends[1]);
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  std::uint64_t last = 0;
  while (::read(ends[0], &last, sizeof last) == sizeof last) continue;
  ::close(ends[0]);
  return last;
}

TEST_CASE("after kill -9 in the middle of writing all metrics that were acknowledged are there, once") {
  const TempDir dir;
  std::uint64_t last = 0;
  for (int round = 0; round < 10; ++round)
    last = std::max(last, killed_while_writing(dir.path("store"), last + 1, 60 + 17 * round));
  REQUIRE(last > 10);
  TestStore store(dir.path("store"));
  // The agent sends again what it has no answer for, and one that had one.
  for (std::uint64_t i = last; i < last + 6; ++i) {
    const std::int64_t start_s = kNowS - (i % 2 == 0 ? 60 : 86'460);
    const auto again =
        store.write(MetricsSpec{.sequence = i, .start_s = start_s}, {faults(1, absl::StrCat(i))});
    REQUIRE(again.ok());
    if (i == last) CHECK(*again == Stored::kDuplicate);
  }
  const auto history = store.reader->metric_history(select("shop", 0, kNowS), kFaults, "pid");
  INFO(history.status().ToString());
  REQUIRE(history.ok());
  for (std::uint64_t i = 1; i <= last + 5; ++i) {
    const auto found = history->lines.find(absl::StrCat(i));
    REQUIRE(found != history->lines.end());
    CHECK(found->second.size() == 1);
  }
}

TEST_CASE("encoded points come back to the last bit, and cut or changed bytes never crash") {
  const std::vector<double> values = {0,    1,    -1,     0.1,  -2.5,   4096, 9'007'199'254'740'992.,
                                      1e30, -1e9, 5e-324, 1e16, 1 / 3., 255,  256};
  sqlite::MetricSet full{{{1, 2}, {300, 4'000'000'000}}, {}}, bare{{}, {{5, 7}}};
  for (std::size_t i = 0; i < values.size(); ++i) full.points.emplace_back(1 + 200 * i, values[i]);
  const std::string bytes = sqlite::MetricEncoder().encode({full, bare});
  sqlite::MetricDecoder decoder;
  std::vector<sqlite::MetricSet> back;
  const auto keep = [&back](const sqlite::MetricSet& set) {
    back.push_back(set);
    return absl::OkStatus();
  };
  REQUIRE(decoder.decode(bytes, keep).ok());
  REQUIRE(back.size() == 2);
  CHECK(back[0].labels == full.labels);
  CHECK(back[0].points == full.points);
  CHECK(back[1].points == bare.points);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut)
    CHECK_FALSE(decoder.decode(bytes.substr(0, cut), keep).ok());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0xff);
    (void)decoder.decode(changed, keep);
  }
}

}  // namespace
}  // namespace siprof::collector::test
