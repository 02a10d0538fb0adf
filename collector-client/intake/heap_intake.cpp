// SPDX-License-Identifier: Apache-2.0
// Heap samples: a Poisson sample of allocations, each of which stands for the inverse of its probability.
// What lives is a level, stated for each window as it is at the window's end.
#include <algorithm>
#include <cmath>
#include <random>

#include "collector-client/intake/intake.h"
#include "collector-client/intake/live_heap.h"

namespace siprof::client {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 47;  // of one allocation: the address space
constexpr std::uint64_t kMostInterval = std::uint64_t{1} << 40;
constexpr std::size_t kMostEntered = 2 * std::size_t{kLiveSlots};

class HeapIntake : public Intake {
 public:
  explicit HeapIntake(const IntakeSources& sources)
      : pool_(sources.pool), live_(sources.modules, sources.functions) {}

  Kind kind() const override { return Kind::kHeap; }

  void take(const RawSample& record, SampleView sample, IntakeOutput& out) override {
    const EventHead& head = record.record.head;
    const auto bytes = static_cast<double>(std::min(head.values[kHeapBytes], kMostBytes));
    const auto interval =
        static_cast<double>(std::clamp<std::uint64_t>(head.values[kHeapIntervalBytes], 1, kMostInterval));
    const double objects = inverse_probability(bytes + 1, interval) * lost_.take(head);
    const std::int64_t values[] = {fairly_rounded(objects), bounded(objects * bytes), 0, 0};
    sample.values = values;
    out.add(sample);
    out.count("heap_samples", 1);
    if (head.values[kHeapFollowed] != 1) return;
    // Most of many die young.
    if (live_.size() >= kMostEntered) live_.keep(pool_.live_allocations());
    if (live_.size() < kMostEntered) live_.enter(head.values[kHeapId], sample);
  }

  void account(const Rates& rates, IntakeOutput& out) override {
    // New allocations aren't followed: what is left isn't what lives.
    if ((rates.kinds & kind_bit(EventKind::kHeap)) == 0) return live_.clear();
    out.state("heap_interval_bytes", rates.heap_interval_bytes);
    live_.keep(pool_.live_allocations());
    live_.each([&out](const SampleView& sample) { out.add(sample); });
    const SharedCounters counters = pool_.counters();
    for (const auto& [counter, name] : kReasons) {
      const std::uint64_t now = counters[static_cast<std::uint32_t>(counter)];
      if (now != 0) out.count(name, 1);
    }
  }

 private:
  // An integer whose mean it is: one in 1.6 objects isn't 2. Not in turns, the app has its own rhythm.
  std::int64_t fairly_rounded(double value) {
    value = std::min(value, kMostValue);
    const double whole = std::floor(value);
    return static_cast<std::int64_t>(whole) +
           (std::uniform_real_distribution<>()(random_) < value - whole ? 1 : 0);
  }

  struct Reason {
    Counter counter;
    const char* name;
  };
  // Why an empty profile is empty; of each window as long as it is so.
  static constexpr Reason kReasons[] = {{Counter::heap_unseen, "heap_unseen"}};

  const SharedPool& pool_;
  LiveHeap live_;
  LostShare lost_;
  std::minstd_rand random_;
};

}  // namespace

std::unique_ptr<Intake> make_heap_intake(const IntakeSources& sources) {
  return std::make_unique<HeapIntake>(sources);
}

}  // namespace siprof::client
