// SPDX-License-Identifier: Apache-2.0
// Lock samples: waits of one thread, and the stacks of those that unlocked meanwhile. Both come by the rings
// of their own threads, in any order, so waits are kept for a moment until whoever ended them must have come
// too.
#include <algorithm>
#include <string>
#include <vector>

#include "collector-client/intake/intake.h"

namespace siprof::client {
namespace {

constexpr std::uint64_t kPatienceNs = 1'000'000'000;       // longer than between two drains of a busy process
constexpr std::size_t kMostKept = 4096;                    // of each sort; a stack is 500 bytes
constexpr std::size_t kHolderFrames = 48;                  // more than names of fit into a label
constexpr std::uint64_t kMostIntervalNs = 60'000'000'000;  // as the process clamps it
constexpr std::uint64_t kMostBlockedNs = 30ull * 24 * 3600 * 1'000'000'000;

// By LockType.
constexpr const char* kTypeNames[] = {"mutex", "rwlock", "cond", "sem", "join", "barrier"};
static_assert(std::size(kTypeNames) == kLockTypes);

struct Wait {
  std::uint64_t begin_ns;
  std::uint64_t end_ns;
  std::uint64_t interval_ns;
  double samples;  // that it is: LostShare
  std::uint64_t lock;
  std::uint32_t type;
  pid_t holder;  // 0: unknown
  SampleView sample;
  Stack stack;  // what `sample` points to
  std::string thread_name;
  Stack unlocked_at;  // what there is without the unlocker's own sample
};

struct Release {
  std::uint64_t lock;
  std::uint64_t time_ns;
  pid_t thread_id;
  Stack stack;
};

// Python's interpreter lock is a condition that its threads wait for.
const char* name_of(const Wait& wait) {
  const bool is_gil =
      wait.sample.gil == Gil::kAwaited && wait.type == static_cast<std::uint32_t>(LockType::kCond);
  return is_gil ? "gil" : kTypeNames[wait.type];
}

bool by_lock_and_time(const Release& a, const Release& b) {
  return a.lock != b.lock ? a.lock < b.lock : a.time_ns < b.time_ns;
}

class LockIntake : public Intake {
 public:
  Kind kind() const override { return Kind::kLock; }

  void take(const RawSample& record, SampleView sample, IntakeOutput& out) override {
    const EventHead& head = record.record.head;
    if (head.event == EventKind::kHolder) {
      keep_release(head, sample);
    } else {
      keep_wait(head, sample);
    }
    newest_ns_ = std::max(newest_ns_, head.time_ns);
    if (waits_.size() > kMostKept || releases_.size() > kMostKept) settle(newest_ns_ - kPatienceNs, out);
    if (waits_.size() > kMostKept || releases_.size() > kMostKept) settle(~std::uint64_t{0}, out);
  }

  void account(const Rates& rates, IntakeOutput& out) override {
    settle(~std::uint64_t{0}, out);
    out.state("block_interval_ns", rates.block_interval_ns);
  }

 private:
  void keep_release(const EventHead& head, const SampleView& sample) {
    const auto frames = sample.stack.first(std::min(sample.stack.size(), kHolderFrames));
    releases_.push_back(
        {head.values[kLockAddress], head.time_ns, sample.thread_id, Stack(frames.begin(), frames.end())});
  }

  void keep_wait(const EventHead& head, const SampleView& sample) {
    const std::uint64_t blocked_ns = std::min({head.values[kLockBlockedNs], kMostBlockedNs, head.time_ns});
    const auto type = static_cast<std::uint32_t>(head.values[kLockDetail] >> 32);
    if (type >= kLockTypes) return;
    waits_.push_back({head.time_ns - blocked_ns, head.time_ns,
                      std::min(head.values[kLockIntervalNs], kMostIntervalNs), lost_.take(head),
                      head.values[kLockAddress], type,
                      static_cast<pid_t>(head.values[kLockDetail] & 0x7fffffff), sample,
                      Stack(sample.stack.begin(), sample.stack.end()), std::string(sample.thread_name),
                      Stack(sample.holder.begin(), sample.holder.end())});
  }

  // Hands on the waits that ended by that time, and forgets what unlocked by then.
  void settle(std::uint64_t until_ns, IntakeOutput& out) {
    std::sort(releases_.begin(), releases_.end(), by_lock_and_time);
    for (Wait& wait : waits_) {
      if (wait.end_ns <= until_ns) add(wait, out);
    }
    std::erase_if(waits_, [=](const Wait& wait) { return wait.end_ns <= until_ns; });
    std::erase_if(releases_, [=](const Release& release) { return release.time_ns <= until_ns; });
  }

  // The last one that unlocked during the wait.
  const Release* holder_of(const Wait& wait) const {
    auto after = std::upper_bound(releases_.begin(), releases_.end(), Release{wait.lock, wait.end_ns, 0, {}},
                                  by_lock_and_time);
    if (after == releases_.begin()) return nullptr;
    --after;
    return after->lock == wait.lock && after->time_ns >= wait.begin_ns ? &*after : nullptr;
  }

  void add(Wait& wait, IntakeOutput& out) {
    const auto blocked_ns = static_cast<double>(wait.end_ns - wait.begin_ns);
    const double alone =
        wait.interval_ns == 0 ? 1 : inverse_probability(blocked_ns, static_cast<double>(wait.interval_ns));
    const double weight = alone * wait.samples;
    const std::int64_t values[] = {waits_told_.take(weight), bounded(weight * blocked_ns)};
    SampleLabel labels[] = {{"lock", name_of(wait), 0}, {"holder_thread_id", "", wait.holder}};
    SampleView sample = wait.sample;
    sample.holder = wait.unlocked_at;
    if (const Release* holder = holder_of(wait)) {
      sample.holder = holder->stack;
      labels[1].number = holder->thread_id;
    }
    sample.stack = wait.stack;
    sample.thread_name = wait.thread_name;
    sample.labels = std::span(labels).first(labels[1].number != 0 ? 2 : 1);
    sample.values = values;
    out.add(sample);
    count(wait, sample.holder, out);
  }

  static void count(const Wait& wait, std::span<const CodeAddress> holder, IntakeOutput& out) {
    out.count("lock_samples", 1);
    if (wait.type > static_cast<std::uint32_t>(LockType::kRwlock)) return;  // nobody holds it
    if (holder.empty()) out.count("lock_holders_unknown", 1);
    if (!holder.empty() && holder.data() == wait.unlocked_at.data()) out.count("lock_holders_short", 1);
  }

  std::vector<Wait> waits_;
  std::vector<Release> releases_;
  std::uint64_t newest_ns_ = kPatienceNs;
  WholeParts waits_told_;
  LostShare lost_;
};

}  // namespace

std::unique_ptr<Intake> make_lock_intake(const IntakeSources&) {
  return std::make_unique<LockIntake>();
}

}  // namespace siprof::client
