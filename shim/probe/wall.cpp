// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/wall.h"

#include "shim/core/block_sampler.h"
#include "shim/core/timer.h"

namespace siprof::shim {
namespace {

// As kBlockUnits, of ThreadState::wall_left: the longest distance that can be drawn, 37 intervals, fits.
constexpr std::int32_t kWallUnits = std::int32_t{1} << 25;

}  // namespace

__attribute__((noinline)) void end_wall_wait(std::uint64_t waited_ns) {
  ThreadState& thread = this_thread();
  thread.waiting_frame = 0;
  const std::uint64_t period_ns = 1'000'000'000 / g_hz.load(std::memory_order_relaxed);
  const BlockDraw draw = draw_wait(thread, &thread.wall_left, kWallUnits, period_ns);
  const BlockChoice choice = settle_wait(&thread.wall_left, kWallUnits, draw, waited_ns);
  if (!choice.chosen) return;
  Hook hook(EventKind::kWall);
  if (hook.on()) hook.emit({EventKind::kWall, 0, {waited_ns, choice.interval_ns}});
}

}  // namespace siprof::shim
