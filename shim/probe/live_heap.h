// SPDX-License-Identifier: Apache-2.0
// Sampled allocations that live, as the agent reads them from the shared memory (LiveSlot). Nothing is
// written of an allocation that wasn't sampled, and no record of a free: a filter of this process's own
// stands before the slots, so that freeing what isn't there costs one load.
//
// An address has two buckets, of which the emptier one takes it, and there is no order within a bucket: a
// slot that was freed is as good as one that never was used, however long the process runs. Any thread, no
// lock; who calls owns the address, so that nobody else asks for the same one.
#pragma once

#include <atomic>
#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/base/attrs.h"

namespace siprof::shim {

inline constexpr std::uint32_t kLiveFilterBytes = 64 * 1024;

struct LiveFilter {
  // 0 until the first allocation is followed: then only the first counter is looked at, and pages that
  // nobody needs aren't touched. Relaxed: who frees an address has heard of it from who allocated it.
  std::atomic<std::uint32_t> mask;
  alignas(64) std::atomic<std::uint8_t> counts[kLiveFilterBytes];
};
extern SIPROF_OWN LiveFilter g_live_filter;

// Neighbours share counters and cache lines.
__attribute__((always_inline)) inline std::atomic<std::uint8_t>& live_filter_of(const void* block) {
  const auto address = reinterpret_cast<std::uint64_t>(block);
  const std::uint64_t at = address >> 6 ^ address >> 22;
  return g_live_filter.counts[at & g_live_filter.mask.load(std::memory_order_relaxed)];
}

// False: it isn't followed. What a wrapper asks before everything else.
__attribute__((always_inline)) inline bool may_be_followed(const void* block) {
  return live_filter_of(block).load(std::memory_order_relaxed) != 0;
}

// Before its record is written. False: no room, which is counted.
bool follow(SharedHeader* header, std::uint64_t session, const void* block, std::uint64_t id);

// Before it is freed.
void unfollow(const void* block);

// While it is being reallocated: it lives on for the agent, but not for whoever gets the same address
// meanwhile. Null: it wasn't followed.
LiveSlot* suspend(const void* block);
void resume(LiveSlot* slot, const void* block);  // it is still where it was
void end(LiveSlot* slot, const void* block);     // it has gone from there

// What the parent followed is none of ours. Context: the child of a fork.
void forget_followed();

}  // namespace siprof::shim
