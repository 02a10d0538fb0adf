// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/python_memory.h"

#include "shim/base/text.h"
#include "shim/core/python_api.h"
#include "shim/probe/heap.h"
#include "shim/probe/live_heap.h"

namespace siprof::shim {
namespace {

constexpr std::size_t kMostBytes = 512;

// Whether the interpreter takes it from its own memory: not nothing, and not what is large.
__attribute__((always_inline)) inline bool is_small(std::size_t bytes) {
  return bytes - 1 < kMostBytes;
}

// What stood there, by domain; the context of our own.
constinit PyMemAllocatorEx g_next[3]{};

__attribute__((noinline)) void* sampled(void* block, std::size_t bytes) {
  const std::uint64_t interval = choose(bytes);
  if (interval != 0) record(block, bytes, interval);
  return block;
}

void* allocate(void* context, std::size_t bytes) {
  const auto* next = static_cast<const PyMemAllocatorEx*>(context);
  if (!is_small(bytes) || !is_due(bytes)) return next->malloc(next->context, bytes);
  return sampled(next->malloc(next->context, bytes), bytes);
}

void* allocate_zeroed(void* context, std::size_t count, std::size_t bytes) {
  const auto* next = static_cast<const PyMemAllocatorEx*>(context);
  std::size_t total = 0;
  if (__builtin_mul_overflow(count, bytes, &total) || !is_small(total) || !is_due(total))
    return next->calloc(next->context, count, bytes);
  return sampled(next->calloc(next->context, count, bytes), total);
}

// A block of malloc's stays one, however small it becomes: then the thread's countdown has moved meanwhile.
void* reallocate(void* context, void* block, std::size_t bytes) {
  const auto* next = static_cast<const PyMemAllocatorEx*>(context);
  LiveSlot* slot = block != nullptr && may_be_followed(block) ? suspend(block) : nullptr;
  const std::int64_t left = t_thread.heap_left;
  void* moved = next->realloc(next->context, block, bytes);
  if (slot != nullptr && moved == nullptr)  // nothing is freed by it: of 0 bytes there is a block, too
    resume(slot, block);
  else if (slot != nullptr)
    end(slot, block);
  if (moved == nullptr || !is_small(bytes) || t_thread.heap_left != left || !is_due(bytes)) return moved;
  return sampled(moved, bytes);
}

__attribute__((noinline)) void release_followed(const PyMemAllocatorEx* next, void* block) {
  unfollow(block);
  next->free(next->context, block);
}

void release(void* context, void* block) {
  const auto* next = static_cast<const PyMemAllocatorEx*>(context);
  if (SIPROF_UNLIKELY(may_be_followed(block))) return release_followed(next, block);
  next->free(next->context, block);
}

void enter(PyMemDomain domain) {
  PyMemAllocatorEx& next = g_next[static_cast<int>(domain)];
  PyMemAllocatorEx present;
  g_python.get_allocator(domain, &present);
  if (present.malloc == allocate) return;  // of an interpreter that has ended
  next = present;
  PyMemAllocatorEx ours{&next, allocate, allocate_zeroed, reallocate, release};
  g_python.set_allocator(domain, &ours);
}

void leave(PyMemDomain domain) {
  PyMemAllocatorEx present;
  g_python.get_allocator(domain, &present);
  if (present.malloc == allocate) g_python.set_allocator(domain, &g_next[static_cast<int>(domain)]);
}

}  // namespace

void enter_memory() {
  const char* name = g_python.allocator_name();
  if (name == nullptr || !equal(name, "pymalloc")) return;
  enter(PyMemDomain::kMem);
  enter(PyMemDomain::kObject);
}

void leave_memory() {
  leave(PyMemDomain::kMem);
  leave(PyMemDomain::kObject);
}

}  // namespace siprof::shim
