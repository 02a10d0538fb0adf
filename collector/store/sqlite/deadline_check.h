// SPDX-License-Identifier: Apache-2.0
// Whether a query's time is over, asked after each profile. Used by one query, on
// its thread.
#pragma once

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace siprof::collector::sqlite {

// Looking at the clock for every profile would cost as much as adding it.
class DeadlineCheck {
 public:
  explicit DeadlineCheck(absl::Time deadline) : deadline_(deadline) {}
  absl::Status operator()() {
    if (++calls_ % 64 != 0 || absl::Now() < deadline_) return absl::OkStatus();
    return absl::DeadlineExceededError("the query took too long: choose a shorter range or fewer labels");
  }

 private:
  absl::Time deadline_;
  unsigned calls_ = 0;
};

}  // namespace siprof::collector::sqlite
