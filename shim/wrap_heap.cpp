// SPDX-License-Identifier: Apache-2.0
// Wrappers of malloc's family. The fast ways have no frame: they count down and jump to the next definition,
// so that the app's frame stays the caller. What a C++ exception or a cancellation would pass through: none.
#include <errno.h>
#include <stddef.h>

#include "shim/probe/allocator.h"
#include "shim/probe/heap.h"
#include "shim/probe/live_heap.h"
#include "shim/real.h"

namespace siprof::shim {
namespace {

using Counted = AllocatorCall::Counted;

constinit AllocatorCall g_cfree("cfree", Counted::kNever);
constinit AllocatorCall g_free_sized("free_sized", Counted::kNever);
constinit AllocatorCall g_free_aligned_sized("free_aligned_sized", Counted::kNever);
constinit AllocatorCall g_memalign("memalign", Counted::kWithMalloc);
constinit AllocatorCall g_aligned_alloc("aligned_alloc", Counted::kWithMalloc);
constinit AllocatorCall g_posix_memalign("posix_memalign", Counted::kWithMalloc);
constinit AllocatorCall g_valloc("valloc", Counted::kWithMalloc);
constinit AllocatorCall g_pvalloc("pvalloc", Counted::kWithMalloc);
constinit AllocatorCall g_reallocarray("reallocarray", Counted::kUnlessLibcs);

template <typename Function, typename... Args>
__attribute__((noinline)) void* allocate_slowly(Function* next, std::size_t bytes, Args... args) {
  const std::uint64_t interval = choose(bytes);
  void* block = next(args...);
  if (interval != 0) record(block, bytes, interval);
  return block;
}

// One of the rarer functions.
template <typename... Args>
void* allocate(AllocatorCall& call, std::size_t bytes, Args... args) {
  auto* next = reinterpret_cast<void* (*)(Args...)>(call.address());
  if (!call.is_counted() || !is_due(bytes)) return next(args...);
  return allocate_slowly(next, bytes, args...);
}

template <typename Function, typename... Args>
__attribute__((noinline)) void* reallocate_slowly(Function* next, bool due, void* block, std::size_t bytes,
                                                  Args... args) {
  const std::uint64_t interval = due ? choose(bytes) : 0;
  LiveSlot* slot = suspend(block);
  void* moved = next(block, args...);
  // Nothing for something: the block is where it was. Nothing for nothing: it is freed.
  if (slot != nullptr && moved == nullptr && bytes != 0)
    resume(slot, block);
  else if (slot != nullptr)
    end(slot, block);
  if (interval != 0) record(moved, bytes, interval);
  return moved;
}

template <typename Function, typename... Args>
__attribute__((always_inline)) inline void* reallocate(Function* next, void* block, std::size_t bytes,
                                                       Args... args) {
  const bool due = is_due(bytes);
  if (SIPROF_LIKELY(!due && !may_be_followed(block))) return next(block, args...);
  return reallocate_slowly(next, due, block, bytes, args...);
}

__attribute__((noinline)) void free_slowly(void* block) {
  unfollow(block);
  g_allocator.free.load(std::memory_order_relaxed)(block);
}

__attribute__((always_inline)) inline void release(void* block) {
  if (SIPROF_UNLIKELY(may_be_followed(block))) return free_slowly(block);
  g_allocator.free.load(std::memory_order_relaxed)(block);
}

// What the program's own call of it comes to: ours, unless its allocator is part of it.
template <typename Function>
Function* seen_by_program(std::atomic<void*>& known, const char* name, Function* ours) {
  void* address = known.load(std::memory_order_relaxed);
  if (address == nullptr) {
    address = find_before(name).address;
    if (address == nullptr) address = reinterpret_cast<void*>(ours);
    known.store(address, std::memory_order_relaxed);
  }
  return reinterpret_cast<Function*>(address);
}

constinit std::atomic<void*> g_program_free{nullptr};
constinit std::atomic<void*> g_program_realloc{nullptr};

// A program that has it only because we do (a weak reference): what it frees is of its free's.
template <typename... Args>
void release_by(AllocatorCall& call, void* block, Args... args) {
  auto* next = reinterpret_cast<void (*)(void*, Args...)>(call.address());
  if (next == nullptr) return seen_by_program(g_program_free, "free", siprof_free)(block);
  if (may_be_followed(block)) unfollow(block);
  next(block, args...);
}

}  // namespace
}  // namespace siprof::shim

using namespace siprof::shim;

void* siprof_malloc(size_t bytes) {
  auto* next = g_allocator.malloc.load(std::memory_order_relaxed);
  if (is_due(bytes)) return allocate_slowly(next, bytes, bytes);
  return next(bytes);
}

void* siprof_calloc(size_t count, size_t bytes) {
  auto* next = g_allocator.calloc.load(std::memory_order_relaxed);
  size_t total = 0;
  if (__builtin_mul_overflow(count, bytes, &total) || !is_due(total)) return next(count, bytes);
  return allocate_slowly(next, total, count, bytes);
}

void* siprof_realloc(void* block, size_t bytes) {
  return reallocate(g_allocator.realloc.load(std::memory_order_relaxed), block, bytes, bytes);
}

void siprof_free(void* block) {
  release(block);
}

void siprof_cfree(void* block) {
  release_by(g_cfree, block);
}

void siprof_free_sized(void* block, size_t bytes) {
  release_by(g_free_sized, block, bytes);
}

void siprof_free_aligned_sized(void* block, size_t alignment, size_t bytes) {
  release_by(g_free_aligned_sized, block, alignment, bytes);
}

void* siprof_memalign(size_t alignment, size_t bytes) {
  return allocate(g_memalign, bytes, alignment, bytes);
}

void* siprof_aligned_alloc(size_t alignment, size_t bytes) {
  return allocate(g_aligned_alloc, bytes, alignment, bytes);
}

void* siprof_valloc(size_t bytes) {
  return allocate(g_valloc, bytes, bytes);
}

void* siprof_pvalloc(size_t bytes) {
  return allocate(g_pvalloc, bytes, bytes);
}

int siprof_posix_memalign(void** block, size_t alignment, size_t bytes) {
  auto* next = reinterpret_cast<int (*)(void**, size_t, size_t)>(g_posix_memalign.address());
  if (!g_posix_memalign.is_counted() || !is_due(bytes)) return next(block, alignment, bytes);
  const std::uint64_t interval = choose(bytes);
  const int result = next(block, alignment, bytes);
  if (interval != 0 && result == 0) record(*block, bytes, interval);
  return result;
}

// libc's calls realloc, and so does ours where there is none.
void* siprof_reallocarray(void* block, size_t count, size_t bytes) {
  auto* next = reinterpret_cast<void* (*)(void*, size_t, size_t)>(g_reallocarray.address());
  size_t total = 0;
  const bool overflows = __builtin_mul_overflow(count, bytes, &total);
  if (next == nullptr && overflows) {
    errno = ENOMEM;
    return nullptr;
  }
  if (next == nullptr) return seen_by_program(g_program_realloc, "realloc", siprof_realloc)(block, total);
  if (overflows || !g_reallocarray.is_counted()) return next(block, count, bytes);
  return reallocate(next, block, total, count, bytes);
}
