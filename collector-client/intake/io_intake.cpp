// SPDX-License-Identifier: Apache-2.0
// Blocking calls: a sample of them with stacks, and the exact sums of all (proto/siprof/io_calls.h).

#include <algorithm>
#include <cmath>
#include <random>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "collector-client/intake/intake.h"
#include "collector-client/intake/io_target_text.h"

namespace siprof::client {
namespace {

constexpr const char* kCalls[] = {
#define SIPROF_IO_CALL_NAME(name) #name,
    SIPROF_IO_CALLS(SIPROF_IO_CALL_NAME)
#undef SIPROF_IO_CALL_NAME
};
static_assert(std::size(kCalls) == kIoCallCount);

// The numbers come from the process.
constexpr std::uint64_t kMostNs = std::uint64_t{100} * 24 * 3600 * 1'000'000'000;
constexpr std::size_t kMostTargets = 500;
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 50;

class IoIntake : public Intake {
 public:
  explicit IoIntake(const SharedPool& pool) : pool_(pool) {}

  Kind kind() const override { return Kind::kIo; }

  void take(const RawSample& record, SampleView sample, IntakeOutput& out) override {
    const EventHead& head = record.record.head;
    const std::uint64_t call = head.values[kIoCallId];
    if (call >= kIoCallCount) return;
    const std::uint64_t waited_ns = std::min(head.values[kIoWaitedNs], kMostNs);
    const std::uint64_t interval_ns = head.values[kIoIntervalNs];
    const double alone = interval_ns == 0 ? 1
                                          : inverse_probability(static_cast<double>(waited_ns),
                                                                static_cast<double>(interval_ns));
    const double weight = alone * lost_.take(head);
    const auto bytes = static_cast<double>(std::min(head.values[kIoBytes], kMostBytes));
    const std::int64_t values[] = {fairly_rounded(weight),
                                   fairly_rounded(static_cast<double>(waited_ns) * weight),
                                   fairly_rounded(bytes * weight)};
    SampleLabel labels[2] = {{"call", kCalls[call], 0}, {}};
    std::size_t count = 1;
    if (std::string target = target_of(record.extra); !target.empty())
      labels[count++] = {"fd", std::move(target), 0};
    sample.values = values;
    sample.labels = std::span<const SampleLabel>(labels, count);
    out.add(sample);
  }

  void account(const Rates& rates, IntakeOutput& out) override {
    const IoSums now = pool_.io_sums();
    for (std::uint32_t i = 0; i < kIoCallCount; ++i) {
      const std::string name = std::string("io_") + kCalls[i];
      count_more(name + "_calls", now[i].calls, counted_[i].calls, out);
      count_more(name + "_bytes", now[i].bytes, counted_[i].bytes, out);
      count_more(name + "_ns", now[i].ns, counted_[i].ns, out);
    }
    out.state("block_interval_ns", rates.block_interval_ns);
    targets_.clear();
  }

 private:
  // Of many different peers a window has the first.
  std::string target_of(const std::string& extra) {
    std::string target = text_of_target(extra);
    if (targets_.size() >= kMostTargets && !targets_.contains(target))
      return target.substr(0, 3) + " (others)";
    return *targets_.insert(std::move(target)).first;
  }

  // An integer whose mean it is: one in 2.5 calls isn't 3. Not in turns, the app has its own rhythm.
  std::int64_t fairly_rounded(double value) {
    value = std::min(value, kMostValue);
    const double whole = std::floor(value);
    return static_cast<std::int64_t>(whole) +
           (std::uniform_real_distribution<>()(random_) < value - whole ? 1 : 0);
  }

  // Hostile memory may go backwards; a counter doesn't.
  static void count_more(const std::string& name, std::uint64_t now, std::uint64_t& counted,
                         IntakeOutput& out) {
    if (now <= counted) return;
    out.count(name, now - counted);
    counted = now;
  }

  const SharedPool& pool_;
  IoSums counted_{};
  absl::flat_hash_set<std::string> targets_;  // of this window
  LostShare lost_;
  std::minstd_rand random_;
};

}  // namespace

std::unique_ptr<Intake> make_io_intake(const IntakeSources& sources) {
  return std::make_unique<IoIntake>(sources.pool);
}

}  // namespace siprof::client
