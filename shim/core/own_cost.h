// SPDX-License-Identifier: Apache-2.0
// What a sample costs its thread, measured on one in kMeasureEvery.
#pragma once

#include <time.h>

#include "shim/base/attrs.h"
#include "shim/base/sys.h"
#include "shim/core/process.h"
#include "shim/core/thread.h"

namespace siprof::shim {

// From here to the end of its life; adds to `counter`, scaled up. Context: signal handler, any thread.
class OwnCost {
 public:
  // Not the first samples: an attach isn't what one costs.
  __attribute__((always_inline)) OwnCost(const ThreadState& thread, Counter counter)
      : counter_(counter),
        measured_(may_call() && thread.next_sample % kMeasureEvery == kMeasureEvery / 2),
        begin_ns_(measured_ ? cpu_ns() : 0) {}
  __attribute__((always_inline)) ~OwnCost() {
    if (measured_) count(counter_, (cpu_ns() - begin_ns_) * kMeasureEvery);
  }
  OwnCost(const OwnCost&) = delete;
  OwnCost& operator=(const OwnCost&) = delete;

 private:
  static constexpr std::uint32_t kMeasureEvery = 64;

  // CPU time, so that being preempted in it isn't counted as its cost.
  __attribute__((always_inline)) static std::uint64_t cpu_ns() {
    return sys::clock_ns(CLOCK_THREAD_CPUTIME_ID);
  }

  Counter counter_;
  bool measured_;
  std::uint64_t begin_ns_;
};

}  // namespace siprof::shim
