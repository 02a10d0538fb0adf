// SPDX-License-Identifier: Apache-2.0
// What a Python process counts of its interpreter, for metrics. Included by shared_memory.h; any change here
// bumps kSharedMemoryVersion.
#pragma once

#include <atomic>
#include <cstdint>

namespace siprof {

inline constexpr std::uint32_t kPythonGenerations = 3;

// Of the collections of one generation, since the process attached.
struct PythonCollections {
  std::atomic<std::uint64_t> count;
  std::atomic<std::uint64_t> collected;      // objects
  std::atomic<std::uint64_t> uncollectable;  // objects
  std::atomic<std::uint64_t> pause_ns;
};

// Written by the app with relaxed adds and stores: sums and levels, nothing is ordered by them.
struct PythonSums {
  std::atomic<std::uint32_t> counted;  // 1: the interpreter's collections are
  PythonCollections generations[kPythonGenerations];
  // Levels, as of a collection lately; 0: not known.
  std::atomic<std::uint64_t> modules;
  std::atomic<std::uint64_t> allocated_blocks;
};

}  // namespace siprof
