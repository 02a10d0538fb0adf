// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/live_heap.h"

#include "shim/core/process.h"

namespace siprof::shim {

constinit LiveFilter g_live_filter{};

namespace {

constexpr std::uint32_t kBucketSlots = 8;
constexpr std::uint32_t kBuckets = kLiveSlots / kBucketSlots;
static_assert((kBuckets & (kBuckets - 1)) == 0 && (kLiveFilterBytes & (kLiveFilterBytes - 1)) == 0);
constexpr std::uint64_t kSuspended = 1;  // in the place of an address
constexpr std::uint8_t kManyForEver = 255;

// Of the attachment that the filter is about; release when it is ready. Forked children inherit a number that
// won't be theirs.
constinit std::atomic<std::uint64_t> g_session{0};
constinit std::atomic<std::uint32_t> g_changing{0};  // 1 while a thread makes the filter another session's
constinit std::atomic<std::uint64_t> g_followed{0};

struct Buckets {
  LiveSlot* of[2];
};

Buckets buckets_of(SharedHeader* header, const void* block) {
  auto* slots = reinterpret_cast<LiveSlot*>(reinterpret_cast<char*>(header) + kLiveSlotsOffset);
  const std::uint64_t hash = (reinterpret_cast<std::uint64_t>(block) >> 4) * 0x9e3779b97f4a7c15;
  return {{slots + (hash >> 32) % kBuckets * kBucketSlots, slots + (hash >> 48) % kBuckets * kBucketSlots}};
}

LiveSlot* find(const Buckets& buckets, std::uint64_t address) {
  for (LiveSlot* bucket : buckets.of) {
    for (std::uint32_t i = 0; i < kBucketSlots; ++i) {
      if (bucket[i].address.load(std::memory_order_relaxed) == address) return &bucket[i];
    }
  }
  return nullptr;
}

std::uint32_t used_slots(const LiveSlot* bucket) {
  std::uint32_t used = 0;
  for (std::uint32_t i = 0; i < kBucketSlots; ++i)
    used += bucket[i].address.load(std::memory_order_relaxed) != 0 ? 1 : 0;
  return used;
}

LiveSlot* claim_in(LiveSlot* bucket, std::uint64_t address) {
  for (std::uint32_t i = 0; i < kBucketSlots; ++i) {
    std::uint64_t free = 0;
    // Acquire: pairs with clear(), so that our number comes after its 0.
    if (bucket[i].address.compare_exchange_strong(free, address, std::memory_order_acquire,
                                                  std::memory_order_relaxed))
      return &bucket[i];
  }
  return nullptr;
}

LiveSlot* claim(const Buckets& buckets, std::uint64_t address) {
  const bool second = used_slots(buckets.of[1]) < used_slots(buckets.of[0]);
  LiveSlot* slot = claim_in(buckets.of[second ? 1 : 0], address);
  return slot != nullptr ? slot : claim_in(buckets.of[second ? 0 : 1], address);
}

void clear(LiveSlot* slot) {
  slot->id.store(0, std::memory_order_relaxed);
  slot->address.store(0, std::memory_order_release);
}

// A counter that was full once says "perhaps" until the next attachment.
void add_to_filter(const void* block, int by) {
  std::atomic<std::uint8_t>& count = live_filter_of(block);
  std::uint8_t now = count.load(std::memory_order_relaxed);
  while (now != kManyForEver && (by > 0 || now != 0)) {
    const auto next = static_cast<std::uint8_t>(now + by);
    if (count.compare_exchange_weak(now, next, std::memory_order_relaxed)) break;
  }
  g_followed.fetch_add(static_cast<std::uint64_t>(by), std::memory_order_relaxed);
}

// The slots of a new attachment are empty, so is the filter before them. False: another thread is at it.
bool enter_session(std::uint64_t session) {
  if (SIPROF_LIKELY(g_session.load(std::memory_order_acquire) == session)) return true;
  std::uint32_t free = 0;
  if (!g_changing.compare_exchange_strong(free, 1, std::memory_order_acquire)) return false;
  const bool is_first = g_session.load(std::memory_order_relaxed) == 0;
  if (g_session.load(std::memory_order_relaxed) != session) {
    const std::uint64_t followed = g_followed.exchange(0, std::memory_order_relaxed);
    if (followed <= kLiveSlots) count(Counter::heap_live_forgotten, followed);  // else one was freed just now
    for (std::uint32_t i = 0; !is_first && i < kLiveFilterBytes; ++i)
      g_live_filter.counts[i].store(0, std::memory_order_relaxed);
    g_live_filter.mask.store(kLiveFilterBytes - 1, std::memory_order_relaxed);
    g_session.store(session, std::memory_order_release);
  }
  g_changing.store(0, std::memory_order_release);
  return true;
}

}  // namespace

bool follow(SharedHeader* header, std::uint64_t session, const void* block, std::uint64_t id) {
  const auto address = reinterpret_cast<std::uint64_t>(block);
  const Buckets buckets = buckets_of(header, block);
  if (!enter_session(session)) {
    count(Counter::heap_live_dropped);
    return false;
  }
  LiveSlot* slot = find(buckets, address);  // freed where we don't see it (RTLD_DEEPBIND)
  if (slot == nullptr) {
    slot = claim(buckets, address);
    if (slot == nullptr) {
      count(Counter::heap_live_dropped);
      return false;
    }
    add_to_filter(block, 1);
  }
  slot->id.store(id, std::memory_order_release);
  return true;
}

LiveSlot* suspend(const void* block) {
  std::uint64_t session = 0;
  SharedHeader* header = attached_header(&session);
  if (header == nullptr || block == nullptr)
    return nullptr;  // a child's filter is its parent's, the slots aren't
  LiveSlot* slot = find(buckets_of(header, block), reinterpret_cast<std::uint64_t>(block));
  if (slot != nullptr) slot->address.store(kSuspended, std::memory_order_relaxed);
  return slot;
}

void resume(LiveSlot* slot, const void* block) {
  slot->address.store(reinterpret_cast<std::uint64_t>(block), std::memory_order_relaxed);
}

void end(LiveSlot* slot, const void* block) {
  clear(slot);
  add_to_filter(block, -1);
}

void unfollow(const void* block) {
  if (LiveSlot* slot = suspend(block); slot != nullptr) end(slot, block);
}

void forget_followed() {
  g_live_filter.mask.store(0, std::memory_order_relaxed);
  g_live_filter.counts[0].store(0, std::memory_order_relaxed);
  g_followed.store(0, std::memory_order_relaxed);
  g_changing.store(0, std::memory_order_relaxed);
}

}  // namespace siprof::shim
