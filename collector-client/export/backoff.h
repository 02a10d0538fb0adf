// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next attempt: doubling, bounded, with jitter so
// that a fleet doesn't come back in step.
#pragma once

#include <algorithm>
#include <random>

#include "absl/time/time.h"

namespace siprof::client {

class Backoff {
 public:
  Backoff(absl::Duration first, absl::Duration last) : first_(first), last_(last), next_(first) {}

  // Half to all of the current step, which then doubles.
  absl::Duration next() {
    const absl::Duration step = next_;
    next_ = std::min(next_ * 2, last_);
    return step * std::uniform_real_distribution<double>(0.5, 1)(random_);
  }
  void reset() { next_ = first_; }

 private:
  const absl::Duration first_;
  const absl::Duration last_;
  absl::Duration next_;
  std::mt19937 random_{std::random_device()()};
};

}  // namespace siprof::client
