// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/allocator.h"

#include "shim/base/text.h"
#include "shim/core/hook.h"
#include "shim/core/unmaps.h"
#include "shim/probe/heap.h"

namespace siprof::shim {
namespace {

constexpr std::size_t kMostAdopted = 64;
struct Adopted {
  const char* name;
  Definition definition;
};
// Written in the constructor alone.
constinit Adopted g_adopted[kMostAdopted]{};
constinit std::size_t g_adopted_count = 0;

const Definition* adopted(const char* name) {
  for (std::size_t i = 0; i < g_adopted_count; ++i) {
    if (equal(g_adopted[i].name, name)) return &g_adopted[i].definition;
  }
  return nullptr;
}

Definition next_of(const char* name) {
  const Definition* known = adopted(name);
  return known != nullptr ? *known : find_next(name);
}

// Looking for them allocates nothing, so that no allocation comes in between (the loader's own dlsym would).
void find_allocator() {
  const Definition malloc = next_of("malloc");
  const Definition calloc = next_of("calloc");
  const Definition realloc = next_of("realloc");
  const Definition free = next_of("free");
  const bool is_one =
      calloc.module == malloc.module && realloc.module == malloc.module && free.module == malloc.module;
  if (!is_one || !is_fit_to_sample(malloc.module)) give_up_on_heap();
  g_allocator.malloc.store(reinterpret_cast<void* (*)(std::size_t)>(malloc.address),
                           std::memory_order_relaxed);
  g_allocator.calloc.store(reinterpret_cast<void* (*)(std::size_t, std::size_t)>(calloc.address),
                           std::memory_order_relaxed);
  g_allocator.realloc.store(reinterpret_cast<void* (*)(void*, std::size_t)>(realloc.address),
                            std::memory_order_relaxed);
  g_allocator.free.store(reinterpret_cast<void (*)(void*)>(free.address), std::memory_order_relaxed);
}

void* first_malloc(std::size_t bytes) {
  find_allocator();
  return g_allocator.malloc.load(std::memory_order_relaxed)(bytes);
}
void* first_calloc(std::size_t count, std::size_t bytes) {
  find_allocator();
  return g_allocator.calloc.load(std::memory_order_relaxed)(count, bytes);
}
void* first_realloc(void* block, std::size_t bytes) {
  find_allocator();
  return g_allocator.realloc.load(std::memory_order_relaxed)(block, bytes);
}
void first_free(void* block) {
  find_allocator();
  g_allocator.free.load(std::memory_order_relaxed)(block);
}

}  // namespace

constinit Allocator g_allocator{first_malloc, first_calloc, first_realloc, first_free};

bool is_fit_to_sample(const void* module) {
  for (const char* name : {"__asan_init", "__tsan_init", "__msan_init", "__lsan_init", "__hwasan_init"}) {
    if (module == nullptr || definition_of(module, name) != nullptr) return false;
  }
  return true;
}

bool adopt_allocator(const char* const* names, const Definition* definitions, std::size_t count) {
  for (std::size_t i = 0; i < count && g_adopted_count < kMostAdopted; ++i) {
    if (definitions[i].address != nullptr) g_adopted[g_adopted_count++] = {names[i], definitions[i]};
  }
  for (const char* name : {"malloc", "calloc", "realloc", "free"}) {
    if (adopted(name) != nullptr) continue;
    g_adopted_count = 0;
    return false;
  }
  find_allocator();
  return true;
}

void note_unseen_allocator() {
  if (!kind_is_on(EventKind::kHeap)) return;
  // Or it is a wrapper of malloc's family that calls ours, or one that ours stand before.
  if (g_allocator.malloc.load(std::memory_order_relaxed) != first_malloc) return;
  if (find_before("malloc").address != nullptr) count(Counter::heap_unseen);
}

void AllocatorCall::find() {
  const Definition found = next_of(name_);
  const void* allocator = next_of("malloc").module;
  const bool calls_malloc =
      counted_ == Counted::kNever ||
      (counted_ == Counted::kUnlessLibcs && definition_of(allocator, "gnu_get_libc_version") != nullptr);
  address_.store(found.address, std::memory_order_relaxed);
  is_counted_.store(found.module == allocator && !calls_malloc, std::memory_order_relaxed);
  known_.store(true, std::memory_order_release);
}

OperatorCall::Found OperatorCall::find() {
  const std::uint32_t unmaps = g_unmaps_begun.load();
  std::uint64_t packed = packed_.load(std::memory_order_relaxed);
  if ((packed & (kKnownBit | kCountBits)) == tag_of(unmaps)) return unpack(packed);
  if ((packed & kLastingBit) != 0) {  // for the fast way, so that it comes by here once a dlclose
    packed_.compare_exchange_strong(packed, (packed & ~std::uint64_t{kCountBits}) | tag_of(unmaps),
                                    std::memory_order_relaxed);
    return unpack(packed);
  }
  const Definition* known = adopted(name_);
  Definition found = known != nullptr ? *known : find_next_for_good(name_);
  const bool is_lasting = found.address != nullptr;
  const bool is_cached = is_lasting || unmap_generation() == unmaps;  // else it may be what is being unmapped
  if (!is_lasting) found = find_next_locked(name_);
  const bool is_counted = found.module != nullptr && found.module == next_of("malloc").module;
  const auto address = reinterpret_cast<std::uint64_t>(found.address);
  if (is_cached && address != 0)
    packed_.store(
        address << 16 | tag_of(unmaps) | (is_lasting ? kLastingBit : 0) | (is_counted ? kCountedBit : 0),
        std::memory_order_relaxed);
  return {found.address, is_counted, false};
}

void OperatorCall::note_trial(bool ends_in_malloc) {
  std::uint64_t packed = packed_.load(std::memory_order_relaxed);
  if ((packed & kCountedBit) == 0) return;
  const std::uint64_t result = ends_in_malloc ? packed & ~std::uint64_t{kCountedBit} : packed | kTriedBit;
  packed_.compare_exchange_strong(packed, result, std::memory_order_relaxed);
}

}  // namespace siprof::shim
