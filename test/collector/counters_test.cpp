// SPDX-License-Identifier: Apache-2.0
// Counters of profiles: from the store, merged, into the comments of a pprof file.
#include <catch2/catch.hpp>
#include <limits>

#include "collector/query/pprof_export.h"
#include "collector/store/kinds.h"
#include "collector/store/sqlite/stack_codec.h"
#include "test/collector/store_support.h"

namespace siprof::collector::test {
namespace {

using Named = std::map<std::string, std::uint64_t>;

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

MergedStacks with_counters(const TestStore& store, Selection selection = select()) {
  selection.counters = true;
  auto stacks = store.reader->stacks(selection, "");
  INFO(stacks.status().ToString());
  REQUIRE(stacks.ok());
  return *std::move(stacks);
}

TEST_CASE("counts are summed over windows, hosts and days; of levels the latest profile's stands") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  const std::map<std::string, std::string> a = {{"host.name", "a"}}, b = {{"host.name", "b"}};
  store.add({.start_s = kNowS - 60, .labels = a, .counters = {{"samples", 5}, {"sampling_hz", 100}}},
            "main 1");
  store.add({.start_s = kNowS - 20, .labels = a, .counters = {{"samples", 7}, {"sampling_hz", 50}}},
            "main 1");
  // Read after the series of host a, though earlier than its last.
  store.add({.start_s = kNowS - 40, .labels = b, .counters = {{"lost_reentry", 1}, {"sampling_hz", 250}}},
            "x 1");
  store.add({.start_s = kNowS - 90'000, .labels = a, .counters = {{"samples", 100}, {"agent_rss_bytes", 9}}},
            "main 1");
  CHECK(with_counters(store).counters == Named{{"lost_reentry", 1}, {"samples", 12}, {"sampling_hz", 50}});
  CHECK(with_counters(store, select("shop", kNowS - 100'000)).counters ==
        Named{{"agent_rss_bytes", 9}, {"lost_reentry", 1}, {"samples", 112}, {"sampling_hz", 50}});
  Selection host_b = select();
  host_b.matches = {{"host.name", {"b"}}};
  CHECK(with_counters(store, host_b).counters == Named{{"lost_reentry", 1}, {"sampling_hz", 250}});
}

TEST_CASE("of levels that start together the largest stands, and a sum stays at the largest number") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add({.labels = {{"host.name", "a"}}, .counters = {{"agent_rss_bytes", 8}, {"samples", kMost - 1}}},
            "x 1");
  store.add({.labels = {{"host.name", "b"}}, .counters = {{"agent_rss_bytes", 6}, {"samples", 5}}}, "x 1");
  CHECK(with_counters(store).counters == Named{{"agent_rss_bytes", 8}, {"samples", kMost}});
}

TEST_CASE("counters are read only where they are asked for") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add({}, "main 1");
  CHECK_FALSE(with_counters(store).counters.empty());
  CHECK(store.reader->stacks(select(), "cpu")->counters.empty());
}

TEST_CASE("levels are known by the unit at the end of their names") {
  for (const char* level :
       {"sampling_hz", "agent_rss_bytes", "heap_interval_bytes", "block_interval_ns", "budget_permille"})
    CHECK(is_level_counter(level));
  for (const char* sum : {"samples", "cpu_proc_ns", "agent_cpu_ns", "hz", "sampling_hz_changes"})
    CHECK_FALSE(is_level_counter(sum));
}

TEST_CASE("the merged pprof has the counters as comments, in the agent's form") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add({.counters = {{"samples", 5}, {"sampling_hz", 100}, {"lost_pool_full", kMost}}}, "main 1");
  const perftools::profiles::Profile profile = make_pprof(with_counters(store), "cpu");
  std::vector<std::string> comments;
  for (const std::int64_t at : profile.comment())
    comments.push_back(profile.string_table(static_cast<int>(at)));
  CHECK(comments == std::vector<std::string>{"siprof.lost_pool_full=18446744073709551615", "siprof.samples=5",
                                             "siprof.sampling_hz=100"});
}

TEST_CASE("counters come back from their bytes, and cut or endless ones are damage") {
  const sqlite::Counters counters = {{1, 0}, {300, kMost}};
  const std::string bytes = sqlite::encode_counters(counters);
  CHECK(*sqlite::decode_counters(bytes) == counters);
  CHECK(sqlite::decode_counters("")->empty());
  CHECK(absl::IsDataLoss(sqlite::decode_counters(bytes.substr(0, bytes.size() - 1)).status()));
  CHECK(absl::IsDataLoss(sqlite::decode_counters(std::string(30, '\xff')).status()));
}

}  // namespace
}  // namespace siprof::collector::test
