// SPDX-License-Identifier: Apache-2.0
// Times single events with the time-stamp counter, and takes what they need out of the caches before.
#pragma once

#include <x86intrin.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace siprof::bench {

inline std::uint64_t begin_tsc() {
  _mm_lfence();
  const std::uint64_t now = __rdtsc();
  _mm_lfence();
  return now;
}
inline std::uint64_t end_tsc() {
  unsigned cpu = 0;
  const std::uint64_t now = __rdtscp(&cpu);
  _mm_lfence();
  return now;
}

inline double ns_per_tsc() {
  static const double value = [] {
    const auto start = std::chrono::steady_clock::now();
    const std::uint64_t begin = begin_tsc();
    while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(100)) {
    }
    const std::chrono::duration<double, std::nano> passed = std::chrono::steady_clock::now() - start;
    return passed.count() / static_cast<double>(end_tsc() - begin);
  }();
  return value;
}

// Writes so much other memory that caches and TLB hold nothing else.
inline void evict() {
  static std::vector<char> other(64 << 20);
  for (std::size_t i = 0; i < other.size(); i += 64) ++other[i];
  _mm_mfence();
}

template <typename Value>
Value median(std::vector<Value> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace siprof::bench
