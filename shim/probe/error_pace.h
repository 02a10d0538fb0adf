// SPDX-License-Identifier: Apache-2.0
// Which of a thread's throws get a stack: each, up to a limit a second; of more than that one in so many,
// which stands for those before it. What they stand for adds up to what was thrown, and distances are drawn
// at random, so that no pattern of throws is seen crooked.
#pragma once

#include <atomic>
#include <cstdint>

#include "shim/core/sampler.h"

namespace siprof::shim {

// Threads may share one, and handlers interrupt it: then a stack more or less is taken, but nothing that was
// thrown goes uncounted. All accesses are relaxed: sums. Zero is a valid state.
class ErrorPace {
 public:
  static constexpr std::uint32_t kMost = 10'000;  // stacks a second, where the budget allows it
  static constexpr std::uint32_t kLeast = 20;     // at any budget: few are worth more than many
  static constexpr std::uint64_t kSecondNs = 1'000'000'000;

  // One more was thrown; kMost is divided by `divisor`. How many the stack to be taken now stands for, 0:
  // none is taken.
  std::uint32_t take(ThreadState& thread, std::uint64_t now_ns, std::uint64_t divisor) {
    const std::uint32_t limit = limit_of(divisor);
    const std::uint32_t waiting = waiting_.fetch_add(1, kSum) + 1;
    const std::uint64_t passed_ns = now_ns - second_ns_.load(kSum);
    const bool anew = passed_ns >= kSecondNs;
    if (anew)
      begin_second(now_ns, passed_ns, limit, waiting - 1);
    else if (waiting < wanted_.load(kSum))
      return 0;
    const std::uint32_t weight = waiting_.exchange(0, kSum);
    thrown_.fetch_add(anew ? 1 : weight, kSum);
    if (taken_.fetch_add(1, kSum) >= limit) {
      taken_.store(limit - limit / 4, kSum);
      slow_down(kLongest);
    }
    wanted_.store(static_cast<std::uint32_t>(draw_distance(thread, every_.load(kSum))) + 1, kSum);
    return weight + pay_back();
  }

  // The stack could not be written, the agent hasn't made room yet. The next ones stand for these as well:
  // many of them, so that none has the weight of a whole pause.
  void put_back(std::uint32_t weight) {
    owed_.fetch_add(weight, kSum);
    slow_down(kLongestForRoom);
  }

 private:
  static constexpr std::memory_order kSum = std::memory_order_relaxed;
  static constexpr std::uint32_t kLongest = 1u << 20;
  static constexpr std::uint32_t kLongestForRoom = 64;
  static constexpr std::uint32_t kPayments = 64;

  static std::uint32_t limit_of(std::uint64_t divisor) {
    const std::uint64_t limit = divisor > 1 ? kMost / divisor : kMost;
    return limit > kLeast ? static_cast<std::uint32_t>(limit) : kLeast;
  }

  void slow_down(std::uint32_t longest) {
    const std::uint32_t every = every_.load(kSum);
    if (every < longest) every_.store(every < 1 ? 2 : every * 2, kSum);
  }

  std::uint32_t pay_back() {
    std::uint32_t owed = owed_.load(kSum);
    std::uint32_t part = 0;
    do {
      part = (owed + kPayments - 1) / kPayments;
    } while (part != 0 && !owed_.compare_exchange_weak(owed, owed - part, kSum));
    return part;
  }

  // As often as the second before would have needed.
  void begin_second(std::uint64_t now_ns, std::uint64_t passed_ns, std::uint32_t most,
                    std::uint32_t waiting) {
    const std::uint64_t thrown = std::uint64_t{thrown_.exchange(0, kSum)} + waiting;
    const std::uint64_t limit = most * (passed_ns / 1'000'000) / 1'000;
    const std::uint64_t every = limit == 0 ? 1 : (thrown + limit - 1) / limit;
    every_.store(static_cast<std::uint32_t>(every < kLongest ? every : kLongest), kSum);
    taken_.store(0, kSum);
    second_ns_.store(now_ns, kSum);
  }

  std::atomic<std::uint64_t> second_ns_{0};  // when the present second began
  std::atomic<std::uint32_t> thrown_{0};     // in it, but for those that wait
  std::atomic<std::uint32_t> taken_{0};      // stacks in it
  std::atomic<std::uint32_t> every_{0};      // one stack in so many, on average; 0 and 1: each
  std::atomic<std::uint32_t> waiting_{0};    // thrown since the last stack
  std::atomic<std::uint32_t> wanted_{0};     // of these at the next
  std::atomic<std::uint32_t> owed_{0};       // thrown, of stacks that could not be written
};

}  // namespace siprof::shim
