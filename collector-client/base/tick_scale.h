// SPDX-License-Identifier: Apache-2.0
// How fast the CPU's time stamp counter runs, for processes that time their calls by it.
#pragma once

#include <cstdint>
#include <string>

namespace siprof::client {

class TickScale {
 public:
  // `clock_source`: the file in which the kernel says what its own clock counts by.
  explicit TickScale(const std::string& clock_source);

  // Nanoseconds of CLOCK_MONOTONIC in 2^32 ticks. 0: not known yet, or the kernel doesn't trust the counter.
  // Nearer to the truth the longer this object has lived, for a second.
  std::uint64_t get();

 private:
  struct Moment {
    std::uint64_t ticks;
    std::uint64_t ns;
  };
  static Moment now();

  bool usable_ = false;
  bool settled_ = false;
  Moment begin_{};
  std::uint64_t scale_ = 0;
};

// This machine's. The agent's thread.
std::uint64_t tick_scale();

}  // namespace siprof::client
