// SPDX-License-Identifier: Apache-2.0
// How often a process is asked for samples: what its environment says, and what is in force.
#pragma once

#include <cstdint>

namespace siprof {

struct Rates {
  std::uint32_t hz;                   // CPU samples a second of CPU time and thread, 1 to 1000
  std::uint32_t kinds;                // kind_bit()s that are on, and kMetricsBit
  std::uint64_t heap_interval_bytes;  // mean bytes between two samples; 1: every allocation
  std::uint64_t block_interval_ns;    // mean blocked time between two samples of lock and io
  std::uint64_t error_interval;       // stacks of errors a second and thread are 10 000 divided by it

  friend bool operator==(const Rates&, const Rates&) = default;
};
inline constexpr std::uint64_t kDefaultHeapIntervalBytes = 524'288;
inline constexpr std::uint64_t kDefaultBlockIntervalNs = 1'000'000;

}  // namespace siprof
