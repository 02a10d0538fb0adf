// SPDX-License-Identifier: Apache-2.0
// The machine's clocks behind the Clock interface.
#include "collector-client/base/clock.h"

#include "absl/time/clock.h"

namespace siprof::client {
namespace {

std::int64_t read_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

class SystemClock : public Clock {
 public:
  absl::Time now() const override { return absl::Now(); }

  std::int64_t monotonic_ns() const override { return read_ns(CLOCK_MONOTONIC); }
};

}  // namespace

const Clock& Clock::system() {
  static const SystemClock clock;
  return clock;
}

absl::Time steady_time(const Clock& clock) {
  return absl::UnixEpoch() + absl::Nanoseconds(clock.monotonic_ns());
}

std::uint64_t cpu_time_ns(clockid_t clock) {
  return static_cast<std::uint64_t>(read_ns(clock));
}

}  // namespace siprof::client
