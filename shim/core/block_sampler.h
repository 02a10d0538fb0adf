// SPDX-License-Identifier: Apache-2.0
// Which waits get a stack, for locks and for calls that block alike: those of an interval and longer always,
// shorter ones by the Poisson process of sampler.h over blocked time, which a thread's waits share.
//
//   const BlockDraw draw = draw_block(thread);               // before it waits
//   …
//   const BlockChoice choice = settle_block(thread, draw, blocked_ns);
//   if (choice.chosen) { Hook hook(kind); … values: blocked_ns, choice.interval_ns … }
//
// Context: any thread, also in handlers of the app that interrupt a wait, and in the child of a vfork.
#pragma once

#include <cstdint>

#include "shim/core/config.h"
#include "shim/core/process.h"
#include "shim/core/sampler.h"
#include "shim/core/thread.h"

namespace siprof::shim {

// Of ThreadState::block_left: so many are an interval. What is left is kept in intervals, not in nanoseconds,
// so that it means the same after a change of the rate.
inline constexpr std::int64_t kBlockUnits = std::int64_t{1} << 27;

struct BlockDraw {
  std::uint64_t interval_ns;  // in force for this wait
  std::uint64_t deadline_ns;  // the wait is chosen if it lasts so long; 1 to interval_ns
};

struct BlockChoice {
  bool chosen;
  std::uint64_t interval_ns;  // it was chosen with 1 - exp(-blocked / interval); 0: it always is
};

// Mean blocked time between two samples; before the attach it is what the environment says.
inline std::uint64_t block_interval_ns() {
  constexpr std::uint64_t kMost = 60'000'000'000;  // so that units times nanoseconds fit
  std::uint64_t session = 0;
  const SharedHeader* header = attached_header(&session);
  const std::uint64_t ns = header != nullptr ? header->block_interval_ns.load(std::memory_order_relaxed)
                                             : g_config.rates.block_interval_ns;
  return ns < 1 ? 1 : ns > kMost ? kMost : ns;
}

// With `left` of the thread's own, which is what it has until its next sample, in parts of an interval.
template <typename Left>
BlockDraw draw_wait(ThreadState& thread, Left* left, Left units, std::uint64_t interval_ns) {
  // From 1 on: what is drawn is rounded down, and a wait of d units is chosen iff it lies below d.
  if (*left <= 0) *left = static_cast<Left>(draw_distance(thread, static_cast<std::uint64_t>(units)) + 1);
  if (*left >= units) return {interval_ns, interval_ns};
  const auto parts = static_cast<std::uint64_t>(units);
  return {interval_ns, (static_cast<std::uint64_t>(*left) * interval_ns + parts - 1) / parts};
}

template <typename Left>
BlockChoice settle_wait(Left* left, Left units, const BlockDraw& draw, std::uint64_t blocked_ns) {
  if (blocked_ns >= draw.interval_ns) return {true, 0};
  if (blocked_ns >= draw.deadline_ns) {
    *left = 0;
    return {true, draw.interval_ns};
  }
  const auto used = static_cast<Left>(blocked_ns * static_cast<std::uint64_t>(units) / draw.interval_ns);
  // Nothing is left only if a handler that waited meanwhile had the sample that this one was drawn for.
  *left = *left > used ? *left - used : 0;
  return {false, 0};
}

inline BlockDraw draw_block(ThreadState& thread) {
  return draw_wait(thread, &thread.block_left, kBlockUnits, block_interval_ns());
}
inline BlockChoice settle_block(ThreadState& thread, const BlockDraw& draw, std::uint64_t blocked_ns) {
  return settle_wait(&thread.block_left, kBlockUnits, draw, blocked_ns);
}

}  // namespace siprof::shim
