// SPDX-License-Identifier: Apache-2.0
#include "shim/core/code_map.h"

#include <cstddef>

#include "shim/core/process.h"

namespace siprof::shim {
namespace {

constexpr std::uint32_t kNone = 1;  // odd: a map that is being written

constinit std::uint32_t g_before_fork = kNone;  // its sequence number, in the parent
// What the parent's map has to be at still. kNone: this process wasn't forked, or had none to inherit.
constinit std::uint32_t g_inherited = kNone;

// The number that the map in `before` must have, kNone if it isn't about this process.
SIPROF_SIGNAL_SAFE std::uint32_t wanted_sequence(const CodeMap* map) {
  std::uint64_t session = 0;
  const bool is_own = attached_header(&session) != nullptr;
  const std::uint32_t now = map->sequence.load(std::memory_order_acquire);  // pairs with the agent's release
  return is_own || now == g_inherited ? now : kNone;
}

}  // namespace

void note_code_map_of_parent() {
  std::uint64_t session = 0;
  const SharedHeader* header = attached_header(&session);
  // What the agent adds later may have come to the parent alone.
  g_before_fork = header != nullptr ? code_map_of(header)->sequence.load(std::memory_order_acquire) : kNone;
}

void inherit_code_map() {
  g_inherited = g_before_fork;
}

void take_over_code_map(const SharedHeader* before, long file) {
  if (before == nullptr) return;
  const CodeMap* map = code_map_of(before);
  const std::uint32_t sequence = wanted_sequence(map);
  const std::uint32_t ranges = map->range_count;
  if (sequence % 2 != 0 || map->arena_id == 0 || ranges > kMaxCodeRanges) return;
  const std::uint64_t bytes = offsetof(CodeMap, ranges) + std::uint64_t{ranges} * sizeof(CodeRange);
  sys::call(SYS_pwrite64, file, map, bytes, kCodeMapOffset);
  std::atomic_thread_fence(std::memory_order_acquire);
  if (map->sequence.load(std::memory_order_relaxed) == sequence) return;
  // It changed meanwhile: nothing is better than parts of two.
  const std::uint64_t nobodys_arena = 0;
  sys::call(SYS_pwrite64, file, &nobodys_arena, sizeof nobodys_arena,
            kCodeMapOffset + offsetof(CodeMap, arena_id));
  const std::uint32_t unwritten = 0;
  sys::call(SYS_pwrite64, file, &unwritten, sizeof unwritten, kCodeMapOffset + offsetof(CodeMap, sequence));
}

}  // namespace siprof::shim
