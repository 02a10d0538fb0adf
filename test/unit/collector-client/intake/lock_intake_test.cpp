// SPDX-License-Identifier: Apache-2.0
// Waits for locks and the stacks of those that unlocked: which belong together, and what they stand for.
#include <set>

#include "test/unit/collector-client/intake/fixtures.h"

namespace siprof::client {
namespace {

using testing::text_of;

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kStart = 1'000'000 * kMs;
constexpr std::uint64_t kMutex = 0x5000;
const Stack kWaiter = {{nullptr, 0x10}, {nullptr, 0x20}};
const Stack kHolder = {{nullptr, 0x30}, {nullptr, 0x40}};
const Stack kOther = {{nullptr, 0x50}};
const Stack kPlace = {{nullptr, 0x31}};

RawSample wait_record(std::uint64_t end_ms, std::uint64_t blocked_ns, std::uint64_t interval_ns = 0,
                      std::uint64_t lock = kMutex, LockType type = LockType::kMutex,
                      std::uint32_t holder = 0) {
  RawSample raw{};
  EventHead& head = raw.record.head;
  head.event = EventKind::kLock;
  head.time_ns = kStart + end_ms * kMs;
  head.values[kLockBlockedNs] = blocked_ns;
  head.values[kLockIntervalNs] = interval_ns;
  head.values[kLockAddress] = lock;
  head.values[kLockDetail] = static_cast<std::uint64_t>(type) << 32 | holder;
  return raw;
}

RawSample release_record(std::uint64_t ms, std::uint64_t lock = kMutex) {
  RawSample raw{};
  raw.record.head.event = EventKind::kHolder;
  raw.record.head.time_ns = kStart + ms * kMs;
  raw.record.head.values[kLockAddress] = lock;
  return raw;
}

TEST_CASE("a condition that is waited for to get Python's interpreter lock is that lock") {
  testing::SharedMemory memory;
  testing::Taker taker(memory, make_lock_intake);
  SampleView view;
  view.stack = kWaiter;
  for (const Gil gil : {Gil::kAwaited, Gil::kReleased}) {
    view.gil = gil;
    taker.take(wait_record(10, kMs, 0, kMutex, LockType::kCond), view);
  }
  view.gil = Gil::kAwaited;
  taker.take(wait_record(10, kMs), view);
  std::multiset<std::string> locks;
  for (const WindowSample& sample : taker.cut().samples) locks.insert(testing::text_of(sample, "lock"));
  CHECK(locks == std::multiset<std::string>{"cond", "gil", "mutex"});
}

// Waits and unlocks of some threads.
class Taken {
 public:
  void wait(const RawSample& raw, const Stack& stack = kWaiter, pid_t tid = 1, const Stack& place = {}) {
    SampleView view;
    view.stack = stack;
    view.holder = place;
    view.thread_id = tid;
    view.thread_name = "waiter";
    taker_.take(raw, view);
  }
  void release(const RawSample& raw, const Stack& stack = kHolder, pid_t tid = 2) {
    SampleView view;
    view.stack = stack;
    view.thread_id = tid;
    taker_.take(raw, view);
  }
  Window finish() {
    memory_.rates.block_interval_ns = kMs;
    return taker_.cut();
  }

 private:
  testing::SharedMemory memory_;
  testing::Taker taker_{memory_, make_lock_intake};
};

TEST_CASE("a wait has the stack and thread of the last one that unlocked during it, whichever came first") {
  const bool release_first = GENERATE(true, false);
  Taken taken;
  const auto release = [&] {
    taken.release(release_record(4), kOther, 3);
    taken.release(release_record(9), kHolder, 2);
    taken.release(release_record(9, kMutex + 64), kOther, 4);
    taken.release(release_record(11), kOther, 5);
  };
  if (release_first) release();
  taken.wait(wait_record(10, 8 * kMs));
  if (!release_first) release();
  const Window window = taken.finish();
  REQUIRE(window.samples.size() == 1);
  const WindowSample& sample = window.samples[0];
  CHECK(*sample.stack == kWaiter);
  REQUIRE(sample.holder != nullptr);
  CHECK(*sample.holder == kHolder);
  CHECK(text_of(sample, "holder_thread_id") == "2");
  CHECK(text_of(sample, "lock") == "mutex");
  CHECK(sample.values[0] == 1);
  CHECK(sample.values[1] == static_cast<std::int64_t>(8 * kMs));
  CHECK(sample.thread_name == "waiter");
}

TEST_CASE("without the stack of who unlocked there is where and by whom it was done, or nothing") {
  Taken taken;
  taken.release(release_record(1), kOther, 3);  // before the wait
  taken.wait(wait_record(10, 8 * kMs, 0, kMutex, LockType::kMutex, 7), kWaiter, 1, kPlace);
  taken.wait(wait_record(30, 8 * kMs, 0, kMutex + 64), kOther, 1);
  const Window window = taken.finish();
  REQUIRE(window.samples.size() == 2);
  for (const WindowSample& sample : window.samples) {
    const bool is_known = *sample.stack == kWaiter;
    CHECK((sample.holder != nullptr) == is_known);
    if (is_known) CHECK(*sample.holder == kPlace);
    CHECK(text_of(sample, "holder_thread_id") == (is_known ? "7" : ""));
  }
  CHECK(window.counters.at("lock_holders_short") == 1);
  CHECK(window.counters.at("lock_holders_unknown") == 1);
}

TEST_CASE("short waits stand for others, in whole numbers that add up") {
  Taken taken;
  for (int i = 0; i < 1000; ++i) taken.wait(wait_record(10, kMs / 2, kMs));
  const Window window = taken.finish();
  REQUIRE(window.samples.size() == 1);
  const double weight = inverse_probability(kMs / 2, kMs);
  CHECK(static_cast<double>(window.samples[0].values[0]) == Approx(1000 * weight).margin(1));
  CHECK(static_cast<double>(window.samples[0].values[1]) == Approx(1000 * weight * kMs / 2).epsilon(1e-6));
}

TEST_CASE("more waits and unlocks than are kept go on at once, none is lost") {
  Taken taken;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    taken.release(release_record(i));
    taken.wait(wait_record(i, kMs));
  }
  const Window window = taken.finish();
  std::int64_t waits = 0;
  for (const WindowSample& sample : window.samples) waits += sample.values[0];
  CHECK(waits == 20'000);
  CHECK(window.counters.count("lock_holders_unknown") == 0);
}

TEST_CASE("impossible numbers do no harm") {
  Taken taken;
  taken.wait(wait_record(10, ~std::uint64_t{0}, ~std::uint64_t{0}));
  taken.wait(wait_record(10, 0, ~std::uint64_t{0}));
  taken.wait(wait_record(10, kMs, 1, kMutex, static_cast<LockType>(77)));
  RawSample late = wait_record(0, kMs);
  late.record.head.time_ns = ~std::uint64_t{0};
  taken.wait(late);
  for (const WindowSample& sample : taken.finish().samples) {
    CHECK(sample.values[0] >= 0);
    CHECK(sample.values[1] >= 0);
  }
}

}  // namespace
}  // namespace siprof::client
