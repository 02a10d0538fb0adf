// SPDX-License-Identifier: Apache-2.0
// Sampled allocations: what they stand for, which live, and what a window says of them.
#include "test/unit/collector-client/intake/fixtures.h"

namespace siprof::client {
namespace {

using testing::SharedMemory;
using testing::sum;
using testing::Taker;

constexpr std::size_t kAllocObjects = 0, kAllocBytes = 1, kInuseObjects = 2, kInuseBytes = 3;
constexpr std::uint64_t kInterval = 512 * 1024;
const Stack kStack = {{nullptr, 0x10}, {nullptr, 0x20}};
const Stack kOther = {{nullptr, 0x30}};

RawSample allocated(std::uint64_t id, std::uint64_t bytes, std::uint64_t interval = kInterval,
                    bool followed = true) {
  RawSample raw{};
  EventHead& head = raw.record.head;
  head.event = EventKind::kHeap;
  head.values[kHeapId] = id;
  head.values[kHeapBytes] = bytes;
  head.values[kHeapIntervalBytes] = interval;
  head.values[kHeapFollowed] = followed ? 1 : 0;
  return raw;
}

SampleView by(const Stack& stack) {
  SampleView view;
  view.stack = stack;
  view.pid = view.thread_id = 7;
  view.thread_name = "worker";
  return view;
}

TEST_CASE("an allocation stands for as many as its size was likely to be chosen") {
  SharedMemory memory;
  Taker taker(memory, make_heap_intake);
  for (std::uint64_t id = 1; id <= 10'000; ++id) taker.take(allocated(id, 1000), by(kStack));
  const Window window = taker.cut();
  const double objects = 10'000 * inverse_probability(1001, kInterval);
  CHECK(static_cast<double>(sum(window, kAllocObjects)) == Approx(objects).epsilon(0.001));
  CHECK(static_cast<double>(sum(window, kAllocBytes)) == Approx(1000 * objects).epsilon(0.001));
  CHECK(sum(window, kInuseBytes) == 0);  // no slot has them: they were freed
  CHECK(window.counters.at("heap_samples") == 10'000);
}

TEST_CASE("one much larger than the interval is itself") {
  SharedMemory memory;
  Taker taker(memory, make_heap_intake);
  taker.take(allocated(1, 1'000'000'000), by(kStack));
  const Window window = taker.cut();
  CHECK(sum(window, kAllocObjects) == 1);
  CHECK(sum(window, kAllocBytes) == 1'000'000'000);
}

TEST_CASE("Python functions of what lives keep their names as long as it does") {
  SharedMemory memory;
  Taker taker(memory, make_heap_intake);
  const std::uint64_t function = memory.functions.intern({"m.f", "f", "m.py", 1});
  const Stack stack = {PythonFunctions::address_of(function, 3)};
  memory.live_slot(3).id = 1;
  SampleView view = by(stack);
  view.gil = Gil::kReleased;
  taker.take(allocated(1, 5'000'000), view);
  memory.functions.release(function);
  memory.functions.trim(memory.functions.moment());
  CHECK(memory.functions.frame(stack[0]).name == "m.f");
  taker.cut();
  const Window window = taker.cut();
  REQUIRE(window.samples.size() == 1);
  CHECK(window.samples[0].gil == Gil::kReleased);
  memory.live_slot(3).id = 0;
  taker.cut();  // it is the last one that lived
  memory.rates.kinds = 0;
  taker.cut();  // nothing is followed
  memory.functions.trim(memory.functions.moment());
  CHECK(memory.functions.frame(stack[0]).name == "[unknown Python function]");
}

TEST_CASE("what lives is said in each window anew until its slot is empty") {
  SharedMemory memory;
  Taker taker(memory, make_heap_intake);
  memory.live_slot(3).id = 1;
  memory.live_slot(900).id = 2;
  taker.take(allocated(1, 5'000'000), by(kStack));
  taker.take(allocated(2, 7'000'000), by(kOther));
  const Window first = taker.cut();
  CHECK(sum(first, kInuseBytes) == Approx(12'000'000).epsilon(0.001));
  CHECK(sum(first, kInuseObjects) == 2);

  memory.live_slot(3).id = 0;
  const Window second = taker.cut();
  CHECK(sum(second, kAllocBytes) == 0);
  REQUIRE(second.samples.size() == 1);
  CHECK(*second.samples[0].stack == kOther);
  CHECK(second.samples[0].values[kInuseBytes] == Approx(7'000'000).epsilon(0.001));
  CHECK(second.samples[0].thread_name == "worker");

  // That nothing lives is said, too, or the mean over windows would be one of those in which something does.
  memory.live_slot(900).id = 0;
  for (int i = 0; i < 2; ++i) {
    const Window none = taker.cut();
    REQUIRE(none.samples.size() == 1);
    CHECK(none.samples[0].values == Values{});
  }
}

TEST_CASE("where the kind is off nothing is said of what lives") {
  SharedMemory memory;
  Taker taker(memory, make_heap_intake);
  memory.live_slot(3).id = 1;
  taker.take(allocated(1, 5'000'000), by(kStack));
  CHECK(sum(taker.cut(), kInuseObjects) == 1);
  memory.rates.kinds &= ~kind_bit(EventKind::kHeap);
  CHECK(taker.cut().samples.empty());
  memory.rates.kinds = kAllKinds;
  CHECK(taker.cut().samples.empty());
}

TEST_CASE("one without a slot is allocated and never lives") {
  SharedMemory memory;
  Taker taker(memory, make_heap_intake);
  memory.live_slot(0).id = 1;  // another one's
  taker.take(allocated(1, 5'000'000, kInterval, /*followed=*/false), by(kStack));
  const Window window = taker.cut();
  CHECK(sum(window, kAllocObjects) == 1);
  CHECK(sum(window, kInuseObjects) == 0);
}

TEST_CASE("millions that die young don't pile up, and the ones that live stay") {
  SharedMemory memory;
  Taker taker(memory, make_heap_intake);
  memory.live_slot(0).id = 1;
  for (std::uint64_t id = 1; id <= 200'000; ++id) taker.take(allocated(id, 5'000'000), by(kStack));
  CHECK(sum(taker.cut(), kInuseObjects) == 1);
}

TEST_CASE("impossible sizes do no harm") {
  SharedMemory memory;
  Taker taker(memory, make_heap_intake);
  constexpr std::uint64_t kAll = ~std::uint64_t{0};
  taker.take(allocated(kAll, kAll, kAll), by(kStack));
  taker.take(allocated(0, kAll, 0), by(kStack));
  taker.take(allocated(1, 0, kAll), by(kStack));
  RawSample lost = allocated(2, kAll, kAll);
  lost.record.head.flags = ~0u;
  for (int i = 0; i < 1000; ++i) taker.take(lost, by(kStack));
  for (const WindowSample& sample : taker.cut().samples) {
    for (const std::int64_t value : sample.values) {
      CHECK(value >= 0);
      CHECK(value <= kMostTotal);
    }
  }
}

TEST_CASE("samples that found no room are stood for by those that come next") {
  SharedMemory memory;
  Taker taker(memory, make_heap_intake);
  for (std::uint64_t id = 1; id <= 1000; ++id) {
    RawSample raw = allocated(id, 1'000'000'000);
    if (id == 10) raw.record.head.flags = 300u << kLostShift;
    taker.take(raw, by(id < 500 ? kStack : kOther));
  }
  const Window window = taker.cut();
  CHECK(sum(window, kAllocObjects) == 1300);
  // A few each: by those that came soon, and not all by one.
  for (const WindowSample& sample : window.samples)
    CHECK(sample.values[kAllocObjects] == (*sample.stack == kStack ? 799 : 501));
}

TEST_CASE("why a profile is empty is said as long as it is so") {
  SharedMemory memory;
  Taker taker(memory, make_heap_intake);
  CHECK(taker.cut().counters.count("heap_unseen") == 0);
  memory.count(Counter::heap_unseen, 1);
  CHECK(taker.cut().counters.at("heap_unseen") == 1);
  CHECK(taker.cut().counters.at("heap_unseen") == 1);
}

}  // namespace
}  // namespace siprof::client
