// SPDX-License-Identifier: Apache-2.0
// Five ways to walk the calling thread's stack inside the process, for stack_bench: each stores addresses,
// its own first, and returns how many there are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace siprof::bench {

inline constexpr std::size_t kMostFrames = 256;
using WalkMethod = std::size_t (*)(std::uint64_t* addresses);

std::size_t walk_by_tables(std::uint64_t* addresses);  // what libsiprof.so's handler does
std::size_t walk_by_frame_pointers(std::uint64_t* addresses);
std::size_t walk_by_unw_step(std::uint64_t* addresses);
std::size_t walk_by_unw_backtrace(std::uint64_t* addresses);
std::size_t walk_by_glibc_backtrace(std::uint64_t* addresses);

// Once for each thread, before it walks: reads where its stack ends, and all mappings the first time.
void prepare_this_thread();

// The same walk by counted_walk.h.
std::size_t walk_by_counted_tables(std::uint64_t* addresses);

// All memory that walk_by_tables() may read from `sp` on: tables, ranges, rule cache, its own code, the
// stack.
struct WalkMemory {
  std::span<const std::byte> tables, ranges, rule_cache, view, code, stack;
  std::array<std::span<const std::byte>, 6> all() const {
    return {tables, ranges, rule_cache, view, code, stack};
  }
};
WalkMemory memory_of_tables_walk(std::uint64_t sp);

}  // namespace siprof::bench
