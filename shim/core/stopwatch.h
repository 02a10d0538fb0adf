// SPDX-License-Identifier: Apache-2.0
// How long a call took: by the CPU's time stamp counter where the kernel trusts it for its own clock (10 ns a
// reading, the agent says so and how fast it runs), else by CLOCK_MONOTONIC (24 ns). Context: any thread.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/base/arch.h"
#include "shim/base/attrs.h"

namespace siprof::shim {

// SharedHeader::tick_scale as of the last look; relaxed, each stopwatch keeps what it began with.
extern std::atomic<std::uint64_t> g_tick_scale;

inline std::uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);  // vDSO: no system call, no errno
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

struct Stopwatch {
  std::uint64_t begin;  // in ticks, or nanoseconds if scale is 0
  std::uint64_t scale;
};

__attribute__((always_inline)) inline Stopwatch start_stopwatch() {
  const std::uint64_t scale = g_tick_scale.load(std::memory_order_relaxed);
  return {SIPROF_LIKELY(scale != 0) ? cycle_counter() : monotonic_ns(), scale};
}

__attribute__((always_inline)) inline std::uint64_t elapsed_ns(const Stopwatch& watch) {
  const std::uint64_t now = SIPROF_LIKELY(watch.scale != 0) ? cycle_counter() : monotonic_ns();
  const std::uint64_t passed =
      now > watch.begin ? now - watch.begin : 0;  // never backwards, whatever the CPU
  if (SIPROF_UNLIKELY(watch.scale == 0)) return passed;
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(passed) * watch.scale + (1u << 31)) >>
                                    32);
}

__attribute__((always_inline)) inline void follow_tick_scale(const SharedHeader* header) {
  const std::uint64_t scale = header->tick_scale.load(std::memory_order_relaxed);
  if (SIPROF_UNLIKELY(scale != g_tick_scale.load(std::memory_order_relaxed)))
    g_tick_scale.store(scale, std::memory_order_relaxed);
}

}  // namespace siprof::shim
