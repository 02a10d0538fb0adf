// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/heap.h"

#include "shim/core/config.h"
#include "shim/core/hook.h"
#include "shim/core/process.h"
#include "shim/core/sampler.h"

namespace siprof::shim {
namespace {

// Before the constructor nobody knows whether there will be a profile.
constexpr std::int64_t kAskAgainBytes = 64 * 1024;
constexpr std::uint64_t kImpossibleBytes = std::uint64_t{1} << 62;

constinit std::atomic<bool> g_given_up{false};

// 0: no sample.
std::uint64_t interval_in_force() {
  if (!kind_is_on(EventKind::kHeap) || g_given_up.load(std::memory_order_relaxed) ||
      g_process.off.load(std::memory_order_relaxed) != 0)
    return 0;
  std::uint64_t session = 0;
  const SharedHeader* header = attached_header(&session);
  const std::uint64_t interval = header != nullptr
                                     ? header->heap_interval_bytes.load(std::memory_order_relaxed)
                                     : g_config.rates.heap_interval_bytes;
  return interval != 0 ? interval : 1;
}

void draw(ThreadState& thread, std::uint64_t interval) {
  thread.heap_left = draw_distance(thread, interval);
  thread.heap_interval = interval;
}

}  // namespace

std::uint64_t choose(std::uint64_t bytes) {
  ThreadState& thread = this_thread();
  const std::uint64_t step = bytes + 1;
  const std::int64_t left = thread.heap_left;
  if (step >= kImpossibleBytes) {  // it will fail
    thread.heap_left = static_cast<std::int64_t>(static_cast<std::uint64_t>(left) + step);
    return 0;
  }
  const std::uint64_t interval = interval_in_force();
  if (interval == 0) {
    thread.heap_left = g_config.start_ns == 0 ? kAskAgainBytes : kNever;
    thread.heap_interval = 0;
    return 0;
  }
  const std::uint64_t drawn_with = thread.heap_interval;
  draw(thread, interval);
  if (drawn_with != 0) return drawn_with;
  // Nothing was drawn, or it is void: this one is the first that the new distance is about.
  if (take_from(thread.heap_left, step)) {
    draw(thread, interval);
    return interval;
  }
  return 0;
}

void give_up_on_heap() {
  g_given_up.store(true, std::memory_order_relaxed);
}

}  // namespace siprof::shim
