// SPDX-License-Identifier: Apache-2.0
// Wrappers of operators new and delete. libstdc++'s end in malloc and free, where they are counted: those are
// jumped to. Allocators that bring their own (jemalloc, tcmalloc, mimalloc) don't call malloc for them.
//
// std::bad_alloc passes through the slow way, which has nothing to clean up.
#include <stddef.h>

#include "shim/probe/allocator.h"
#include "shim/probe/heap.h"
#include "shim/probe/live_heap.h"
#include "shim/real.h"

namespace siprof::shim {
namespace {

// Whether it ends in one of our wrappers after all, shows in what is counted down. If a signal handler
// allocated meanwhile the next call tries again.
template <typename... More>
__attribute__((noinline)) void* new_tried(OperatorCall& call, void* (*next)(std::size_t, More...),
                                          std::size_t bytes, More... more) {
  constexpr std::int64_t kMore = 4096;                        // than it takes
  constexpr std::size_t kTrialBytes = std::size_t{64} << 10;  // should it throw, so much goes unsampled
  const std::int64_t left = t_thread.heap_left;
  const auto enough = static_cast<std::int64_t>(bytes + 1) + kMore;
  if (bytes > kTrialBytes) return next(bytes, more...);
  t_thread.heap_left = enough;
  void* block = next(bytes, more...);
  const std::int64_t left_then = this_thread().heap_left;
  this_thread().heap_left = left;
  const bool ends_in_malloc = left_then == kMore;
  if (ends_in_malloc || left_then == enough) call.note_trial(ends_in_malloc);
  if (!is_due(bytes)) return block;
  const std::uint64_t interval = choose(bytes);
  if (interval != 0) record(block, bytes, interval);
  return block;
}

// The allocator's own, or not found yet.
template <typename... More>
__attribute__((noinline)) void* new_counted(OperatorCall& call, std::size_t bytes, More... more) {
  const OperatorCall::Found found = call.find();
  auto* next = reinterpret_cast<void* (*)(std::size_t, More...)>(found.address);
  if (found.is_counted && !found.is_tried) return new_tried(call, next, bytes, more...);
  if (!found.is_counted || !is_due(bytes)) return next(bytes, more...);
  const std::uint64_t interval = choose(bytes);
  void* block = next(bytes, more...);
  if (interval != 0) record(block, bytes, interval);
  return block;
}

template <typename... More>
__attribute__((always_inline)) inline void* allocate(OperatorCall& call, std::size_t bytes, More... more) {
  auto* next = reinterpret_cast<void* (*)(std::size_t, More...)>(call.if_uncounted());
  if (SIPROF_LIKELY(next != nullptr)) return next(bytes, more...);
  return new_counted(call, bytes, more...);
}

template <typename... More>
__attribute__((noinline)) void delete_counted(OperatorCall& call, void* block, More... more) {
  const OperatorCall::Found found = call.find();
  if (found.is_counted && may_be_followed(block)) unfollow(block);
  reinterpret_cast<void (*)(void*, More...)>(found.address)(block, more...);
}

template <typename... More>
__attribute__((always_inline)) inline void release(OperatorCall& call, void* block, More... more) {
  auto* next = reinterpret_cast<void (*)(void*, More...)>(call.if_uncounted());
  if (SIPROF_LIKELY(next != nullptr)) return next(block, more...);
  delete_counted(call, block, more...);
}

}  // namespace
}  // namespace siprof::shim

using siprof::shim::allocate;
using siprof::shim::OperatorCall;
using siprof::shim::release;

#define NEW(name, parameters, ...)                  \
  static constinit OperatorCall next_##name(#name); \
  void* siprof_##name parameters {                  \
    return allocate(next_##name, __VA_ARGS__);      \
  }
#define DELETE(name, parameters, ...)               \
  static constinit OperatorCall next_##name(#name); \
  void siprof_##name parameters {                   \
    release(next_##name, __VA_ARGS__);              \
  }

NEW(_Znwm, (size_t bytes), bytes)
NEW(_Znam, (size_t bytes), bytes)
NEW(_ZnwmRKSt9nothrow_t, (size_t bytes, const void* tag), bytes, tag)
NEW(_ZnamRKSt9nothrow_t, (size_t bytes, const void* tag), bytes, tag)
NEW(_ZnwmSt11align_val_t, (size_t bytes, size_t alignment), bytes, alignment)
NEW(_ZnamSt11align_val_t, (size_t bytes, size_t alignment), bytes, alignment)
NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t bytes, size_t alignment, const void* tag), bytes, alignment,
    tag)
NEW(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t bytes, size_t alignment, const void* tag), bytes, alignment,
    tag)
DELETE(_ZdlPv, (void* block), block)
DELETE(_ZdaPv, (void* block), block)
DELETE(_ZdlPvm, (void* block, size_t bytes), block, bytes)
DELETE(_ZdaPvm, (void* block, size_t bytes), block, bytes)
DELETE(_ZdlPvRKSt9nothrow_t, (void* block, const void* tag), block, tag)
DELETE(_ZdaPvRKSt9nothrow_t, (void* block, const void* tag), block, tag)
DELETE(_ZdlPvSt11align_val_t, (void* block, size_t alignment), block, alignment)
DELETE(_ZdaPvSt11align_val_t, (void* block, size_t alignment), block, alignment)
DELETE(_ZdlPvmSt11align_val_t, (void* block, size_t bytes, size_t alignment), block, bytes, alignment)
DELETE(_ZdaPvmSt11align_val_t, (void* block, size_t bytes, size_t alignment), block, bytes, alignment)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void* block, size_t alignment, const void* tag), block,
       alignment, tag)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void* block, size_t alignment, const void* tag), block,
       alignment, tag)
