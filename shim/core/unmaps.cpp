// SPDX-License-Identifier: Apache-2.0
#include "shim/core/unmaps.h"

#include "shim/core/process.h"

namespace siprof::shim {

// Both of the process, over all attachments. Sequentially consistent, like the look at Process::header behind
// them: a call that doesn't see the header of a new attachment is seen by show_unmaps() there.
constinit std::atomic<std::uint32_t> g_unmaps_begun{0};

namespace {

constinit std::atomic<std::uint32_t> g_ended{0};

// Two threads may show their numbers in any order; the agent sees them grow.
SIPROF_SIGNAL_SAFE void raise_to(std::atomic<std::uint32_t>& shown, std::uint32_t value) {
  std::uint32_t seen = shown.load(std::memory_order_relaxed);
  // Release: pairs with the agent's acquire before it reads the mappings, and after.
  while (seen < value && !shown.compare_exchange_weak(seen, value)) {
  }
}

void show() {
  std::uint64_t session = 0;
  SharedHeader* header = attached_header(&session);
  if (header != nullptr) show_unmaps(header);
}

}  // namespace

std::uint32_t unmap_generation() {
  // In this order: if they are equal then nothing was under way in between.
  const std::uint32_t ended = g_ended.load();
  const std::uint32_t begun = g_unmaps_begun.load();
  return begun == ended ? begun : kUnmapping;
}

void begin_unmap() {
  g_unmaps_begun.fetch_add(1);
  show();
}

void end_unmap() {
  std::uint32_t ended = g_ended.load();
  // Not beyond what was begun: a fork in between has settled all that was under way.
  while (ended < g_unmaps_begun.load() && !g_ended.compare_exchange_weak(ended, ended + 1)) {
  }
  show();
}

void forget_unmaps_under_way() {
  g_ended.store(g_unmaps_begun.load());
}

void show_unmaps(SharedHeader* header) {
  raise_to(header->unmaps_begun, g_unmaps_begun.load());
  raise_to(header->unmaps_ended, g_ended.load());
}

}  // namespace siprof::shim
