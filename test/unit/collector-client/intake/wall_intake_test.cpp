// SPDX-License-Identifier: Apache-2.0
// Threads' time by the wall clock: waits, which tell of themselves, and ticks of those that run.
#include "test/unit/collector-client/intake/fixtures.h"

namespace siprof::client {
namespace {

using testing::SharedMemory;
using testing::sum;
using testing::Taker;
using testing::text_of;

constexpr std::uint64_t kMs = 1'000'000;
const Stack kStack = {{nullptr, 0x10}, {nullptr, 0x20}};

RawSample tick(std::uint64_t ticks, bool in_wait = false) {
  RawSample raw{};
  raw.record.head.event = EventKind::kCpu;
  raw.record.head.values[kCpuTicks] = ticks;
  raw.record.head.values[kCpuPeriodNs] = 10 * kMs;
  raw.record.head.values[kCpuInWait] = in_wait ? 1 : 0;
  return raw;
}
RawSample wait(std::uint64_t ns, std::uint64_t interval_ns) {
  RawSample raw{};
  raw.record.head.event = EventKind::kWall;
  raw.record.head.values[kWallWaitedNs] = ns;
  raw.record.head.values[kWallIntervalNs] = interval_ns;
  return raw;
}
SampleView view() {
  SampleView view;
  view.stack = kStack;
  return view;
}

TEST_CASE("ticks and waits are both wall time, told apart by state") {
  SharedMemory memory;
  Taker taker(memory, make_wall_intake);
  taker.take(tick(3), view());
  taker.take(wait(500 * kMs, 0), view());
  const Window window = taker.cut();
  REQUIRE(window.samples.size() == 2);
  CHECK(sum(window, 0) == 53);
  for (const WindowSample& sample : window.samples)
    CHECK(sample.values[1] ==
          static_cast<std::int64_t>(text_of(sample, "state") == "running" ? 30 * kMs : 500 * kMs));
}

TEST_CASE("a tick inside of a call that waits is in the wait") {
  SharedMemory memory;
  Taker taker(memory, make_wall_intake);
  taker.take(tick(3, /*in_wait=*/true), view());
  CHECK(taker.cut().samples.empty());
}

TEST_CASE("short waits stand for others") {
  SharedMemory memory;
  Taker taker(memory, make_wall_intake);
  for (int i = 0; i < 100; ++i) taker.take(wait(kMs, 10 * kMs), view());
  const double ns = 100 * kMs * inverse_probability(kMs, 10 * kMs);
  const Window window = taker.cut();
  CHECK(static_cast<double>(sum(window, 1)) == Approx(ns).epsilon(1e-6));
  CHECK(static_cast<double>(sum(window, 0)) == Approx(ns / (10 * kMs)).margin(1));
}

TEST_CASE("samples are periods of the rate in force from the first window on") {
  SharedMemory memory;
  memory.rates.hz = 1000;
  Taker taker(memory, make_wall_intake);
  taker.take(wait(500 * kMs, 0), view());
  CHECK(sum(taker.cut(), 0) == 500);
}

TEST_CASE("impossible times do no harm") {
  SharedMemory memory;
  Taker taker(memory, make_wall_intake);
  constexpr std::uint64_t kAll = ~std::uint64_t{0};
  taker.take(wait(kAll, kAll), view());
  taker.take(wait(0, 0), view());
  RawSample odd = tick(kAll);
  odd.record.head.values[kCpuPeriodNs] = kAll;
  taker.take(odd, view());
  memory.rates = {};
  taker.take(wait(kAll, kAll), view());
  for (const WindowSample& sample : taker.cut().samples) {
    CHECK(sample.values[0] >= 0);
    CHECK(sample.values[1] > 0);
  }
}

}  // namespace
}  // namespace siprof::client
