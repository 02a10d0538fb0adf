// SPDX-License-Identifier: Apache-2.0
// Which allocations are sampled, and what becomes of them. Each counts down ThreadState::heap_left by its
// size and 1; where that isn't enough the wrapper (wrap_heap.cpp, wrap_new.cpp) goes the slow way:
//
//   const std::uint64_t interval = choose(bytes);
//   void* block = the next definition's;
//   if (interval != 0) record(block, bytes, interval);
//
// Zero thread storage is valid: a thread's first allocation goes the slow way and draws the first distance.
// Context: any thread, any place where the app allocates, also before the constructor ran, in the child of a
// vfork and in signal handlers. errno stays.
#pragma once

#include <cstdint>

#include "shim/base/arch.h"
#include "shim/core/thread.h"

namespace siprof::shim {

// The fast way. True: go the slow one.
__attribute__((always_inline)) inline bool is_due(std::uint64_t bytes) {
  return SIPROF_UNLIKELY(take_from(t_thread.heap_left, bytes + 1));
}

// The interval that the allocation was chosen with, 0: it wasn't chosen. After is_due(), once.
std::uint64_t choose(std::uint64_t bytes);

// Writes the record and follows the block until it is freed. Null blocks are none.
void record(const void* block, std::uint64_t bytes, std::uint64_t interval);

// The allocator that comes next isn't to be sampled: no thread asks again.
void give_up_on_heap();

}  // namespace siprof::shim
