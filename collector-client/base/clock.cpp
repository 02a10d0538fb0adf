// SPDX-License-Identifier: Apache-2.0
// The machine's clocks behind the Clock interface.
#include "collector-client/base/clock.h"

#include <time.h>

#include "absl/time/clock.h"

namespace siprof::client {
namespace {

class SystemClock : public Clock {
 public:
  absl::Time now() const override { return absl::Now(); }

  std::int64_t monotonic_ns() const override {
    timespec ts{};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return std::int64_t{ts.tv_sec} * 1'000'000'000 + ts.tv_nsec;
  }
};

}  // namespace

const Clock& Clock::system() {
  static const SystemClock clock;
  return clock;
}

absl::Time steady_time(const Clock& clock) {
  return absl::UnixEpoch() + absl::Nanoseconds(clock.monotonic_ns());
}

}  // namespace siprof::client
