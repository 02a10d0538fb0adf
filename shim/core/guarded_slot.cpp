// SPDX-License-Identifier: Apache-2.0
#include "shim/core/guarded_slot.h"

#include <time.h>

#include "shim/base/sys.h"

namespace siprof::shim {
namespace {

// Written once. Release; acquire by whoever takes one.
constinit std::atomic<GuardedSlot*> g_slots{nullptr};

SIPROF_SIGNAL_SAFE std::uint64_t owner_of(const ThreadState& thread) {
  return std::uint64_t{thread.serial} << 32 | static_cast<std::uint32_t>(thread.tid);
}

SIPROF_SIGNAL_SAFE GuardedSlot* find(const ThreadState& thread, bool may_take) {
  GuardedSlot* slots = g_slots.load(std::memory_order_acquire);
  const std::uint64_t owner = owner_of(thread);
  if (slots == nullptr || owner == 0) return nullptr;
  for (std::uint32_t i = 0; i < kGuardedSlots; ++i) {
    GuardedSlot& slot = slots[(thread.serial + i) % kGuardedSlots];
    std::uint64_t seen = slot.owner.load();
    if (seen == owner) return &slot;
    if (may_take && seen == 0 && slot.owner.compare_exchange_strong(seen, owner)) return &slot;
  }
  return nullptr;
}

}  // namespace

bool map_slots() {
  if (g_slots.load(std::memory_order_relaxed) != nullptr) return true;
  const long mapped = sys::map_aside(kGuardedSlots * sizeof(GuardedSlot));
  if (sys::failed(mapped)) return false;
  g_slots.store(reinterpret_cast<GuardedSlot*>(mapped), std::memory_order_release);
  return true;
}

GuardedSlot* take_slot(ThreadState& thread) {
  GuardedSlot* slot = find(thread, /*may_take=*/true);
  if (slot == nullptr) return nullptr;
  slot->mask_is_open = false;
  slot->held.signal = 0;
  thread.is_guarded = true;
  return slot;
}

void give_back_slot(ThreadState& thread, GuardedSlot* slot) {
  thread.is_guarded = false;
  slot->owner.store(0);
}

GuardedSlot* slot_of(const ThreadState& thread) {
  return thread.is_guarded ? find(thread, /*may_take=*/false) : nullptr;
}

void drop_slot(ThreadState& thread) {
  if (GuardedSlot* slot = slot_of(thread)) give_back_slot(thread, slot);
}

bool wait_for_slots() {
  constexpr int kTries = 1000;
  constexpr timespec kPause{0, 50'000};
  GuardedSlot* slots = g_slots.load(std::memory_order_acquire);
  if (slots == nullptr) return true;
  int tries = 0;
  for (std::uint32_t i = 0; i < kGuardedSlots; ++i) {
    const std::uint64_t owner = slots[i].owner.load();
    if (owner == 0) continue;
    for (; slots[i].owner.load() == owner; ++tries) {
      if (tries == kTries) return false;
      sys::call(SYS_nanosleep, &kPause, nullptr);
    }
  }
  return true;
}

void forget_slots() {
  GuardedSlot* slots = g_slots.load(std::memory_order_relaxed);
  if (slots == nullptr) return;
  for (std::uint32_t i = 0; i < kGuardedSlots; ++i) slots[i].owner.store(0);
}

}  // namespace siprof::shim
