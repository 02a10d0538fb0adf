// SPDX-License-Identifier: Apache-2.0
// Sums, windows and bounds of the aggregator.
#include "collector-client/aggregate/aggregator.h"

#include <catch2/catch.hpp>
#include <numeric>

namespace siprof::client {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);
const Module kModule{.path = "/bin/app"};

Stack stack_of(std::initializer_list<std::uint64_t> addresses) {
  Stack stack;
  for (std::uint64_t address : addresses) stack.push_back({&kModule, address});
  return stack;
}

void add(Aggregator* aggregator, const std::shared_ptr<const Series>& series, const Stack& stack, pid_t tid,
         std::vector<std::int64_t> values, std::vector<SampleLabel> labels = {}) {
  aggregator->add(series, Kind::kCpu, {stack, 7, tid, "worker", labels, values});
}

std::int64_t sum(const Window& window, std::size_t type) {
  return std::accumulate(window.samples.begin(), window.samples.end(), std::int64_t{0},
                         [&](std::int64_t total, const WindowSample& s) { return total + s.values[type]; });
}

}  // namespace

TEST_CASE("samples with the same stack, thread and labels add up, others stay apart") {
  Aggregator aggregator(kStart);
  const auto series = aggregator.series({{"service.name", "a"}}, &kModule);
  add(&aggregator, series, stack_of({1, 2}), 10, {1, 100});
  add(&aggregator, series, stack_of({1, 2}), 10, {2, 200});
  add(&aggregator, series, stack_of({1, 2}), 11, {1, 10});
  add(&aggregator, series, stack_of({1, 3}), 10, {1, 10});
  add(&aggregator, series, stack_of({1, 2}), 10, {1, 10}, {{"call", "read", 0}});

  const std::vector<Window> windows = aggregator.cut(kStart + absl::Seconds(10));
  REQUIRE(windows.size() == 1);
  CHECK(windows[0].samples.size() == 4);
  CHECK(sum(windows[0], 0) == 6);
  CHECK(sum(windows[0], 1) == 330);
  CHECK(windows[0].start == kStart);
  CHECK(windows[0].duration == absl::Seconds(10));
}

TEST_CASE("what has the interpreter's lock and what hasn't stays apart") {
  Aggregator aggregator(kStart);
  const auto series = aggregator.series({{"service.name", "a"}}, &kModule);
  const Stack stack = stack_of({1, 2});
  const std::int64_t values[] = {1, 100};
  for (const Gil gil : {Gil::kUnknown, Gil::kReleased, Gil::kAwaited, Gil::kReleased})
    aggregator.add(series, Kind::kCpu, {stack, 7, 10, "worker", {}, values, 0, {}, gil});
  const std::vector<Window> windows = aggregator.cut(kStart + absl::Seconds(10));
  REQUIRE(windows.size() == 1);
  CHECK(windows[0].samples.size() == 3);
  for (const WindowSample& sample : windows[0].samples)
    CHECK(sample.values[0] == (sample.gil == Gil::kReleased ? 2 : 1));
}

TEST_CASE("waits for different holders stay apart") {
  Aggregator aggregator(kStart);
  const auto series = aggregator.series({{"service.name", "a"}}, &kModule);
  const Stack waiter = stack_of({1, 2});
  const std::int64_t values[] = {1, 100};
  for (const Stack& holder : {stack_of({3}), stack_of({3, 4}), Stack(), stack_of({3})})
    aggregator.add(series, Kind::kLock, {waiter, 7, 10, "worker", {}, values, 0, holder});
  const std::vector<Window> windows = aggregator.cut(kStart + absl::Seconds(10));
  REQUIRE(windows.size() == 1);
  CHECK(windows[0].samples.size() == 3);
  for (const WindowSample& sample : windows[0].samples) {
    const bool is_twice = sample.holder != nullptr && *sample.holder == stack_of({3});
    CHECK(sample.values[0] == (is_twice ? 2 : 1));
  }
}

TEST_CASE("equal attributes are one series, and a window starts where the last one ended") {
  Aggregator aggregator(kStart);
  const auto a = aggregator.series({{"service.name", "a"}}, &kModule);
  const auto same = aggregator.series({{"service.name", "a"}}, nullptr);
  const auto b = aggregator.series({{"service.name", "b"}}, nullptr);
  CHECK(a == same);
  CHECK(a != b);
  add(&aggregator, a, stack_of({1}), 1, {1, 1});
  REQUIRE(aggregator.cut(kStart + absl::Seconds(10)).size() == 1);
  add(&aggregator, a, stack_of({1}), 1, {5, 5});
  add(&aggregator, b, stack_of({1}), 1, {1, 1});
  const std::vector<Window> windows = aggregator.cut(kStart + absl::Seconds(15));
  REQUIRE(windows.size() == 2);
  for (const Window& window : windows) {
    CHECK(window.start == kStart + absl::Seconds(10));
    CHECK(sum(window, 0) == (window.series == a ? 5 : 1));
  }
}

TEST_CASE("what a bound turns away is counted with the window") {
  Aggregator aggregator(kStart, {.samples = 2, .frames = 5, .frames_of_a_stack = 3});
  const auto series = aggregator.series({{"service.name", "a"}}, nullptr);
  add(&aggregator, series, stack_of({1, 2, 3, 4, 5}), 1, {1, 1});
  add(&aggregator, series, stack_of({7, 8, 9}), 1, {1, 1});  // a sixth frame
  add(&aggregator, series, stack_of({7}), 1, {1, 1});
  add(&aggregator, series, stack_of({8}), 1, {1, 1});  // a third sample
  add(&aggregator, series, stack_of({7}), 1, {1, 1});  // known: always counts
  const std::vector<Window> windows = aggregator.cut(kStart + absl::Seconds(1));
  REQUIRE(windows.size() == 1);
  CHECK(sum(windows[0], 0) == 3);
  CHECK(windows[0].counters.at("aggregate_dropped") == 2);
  CHECK(windows[0].counters.at("aggregate_cut_frames") == 2);
  // The bounds hold per window.
  add(&aggregator, series, stack_of({8}), 1, {1, 1});
  CHECK(aggregator.cut(kStart + absl::Seconds(2)).at(0).counters.empty());
}

TEST_CASE("a loss without samples still makes a profile, a stated level alone does not") {
  Aggregator aggregator(kStart);
  const auto series = aggregator.series({{"service.name", "a"}}, nullptr);
  aggregator.state(series, Kind::kCpu, "cpu_hz", 100);
  CHECK(aggregator.cut(kStart + absl::Seconds(1)).empty());
  aggregator.state(series, Kind::kCpu, "cpu_hz", 100);
  aggregator.state(series, Kind::kCpu, "cpu_hz", 50);
  aggregator.count(series, Kind::kCpu, "ring_full", 2);
  aggregator.count(series, Kind::kCpu, "ring_full", 3);
  aggregator.count(series, Kind::kLock, "ring_full", 0);
  const std::vector<Window> windows = aggregator.cut(kStart + absl::Seconds(2));
  REQUIRE(windows.size() == 1);
  CHECK(windows[0].counters == Counters{{"cpu_hz", 50}, {"ring_full", 5}});
}

TEST_CASE("the kinds have the types of the contract") {
  for (const KindInfo& info : all_kinds()) {
    CHECK(find_kind(info.name) == info.kind);
    CHECK(&kind_info(info.kind) == &info);
    CHECK(info.types.size() <= kMaxValues);
  }
  CHECK_FALSE(find_kind("metrics").has_value());
  CHECK(kind_info(Kind::kIo).types[2].type == "bytes");
  CHECK(kind_info(Kind::kHeap).types[3].over == Over::kLevel);
}

}  // namespace siprof::client
