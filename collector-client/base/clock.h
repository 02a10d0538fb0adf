// SPDX-License-Identifier: Apache-2.0
// Time, replaceable in tests. Samples carry CLOCK_MONOTONIC (what the shim can
// read in a handler); profiles carry unix time: a Clock maps one to the other.
#pragma once

#include <time.h>

#include <cstdint>

#include "absl/time/time.h"

namespace siprof::client {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time now() const = 0;
  virtual std::int64_t monotonic_ns() const = 0;

  // Unix time of a moment on CLOCK_MONOTONIC, by the offset that holds now: a
  // clock that was set in between moves old and new samples alike.
  absl::Time from_monotonic(std::int64_t monotonic) const {
    return now() - absl::Nanoseconds(monotonic_ns() - monotonic);
  }

  // The machine's clocks; lives as long as the program.
  static const Clock& system();
};

// For all that is a distance of time: the machine's wall clock may be set back by hours.
absl::Time steady_time(const Clock& clock);
inline absl::Time steady_now() {
  return steady_time(Clock::system());
}

// CPU time by CLOCK_PROCESS_CPUTIME_ID or CLOCK_THREAD_CPUTIME_ID.
std::uint64_t cpu_time_ns(clockid_t clock);

}  // namespace siprof::client
