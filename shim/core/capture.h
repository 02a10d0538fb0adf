// SPDX-License-Identifier: Apache-2.0
// Writes the interrupted thread's stack into its ring: walked by the agent's tables (capture_walk.cpp), or
// registers and a bounded copy that the agent unwinds (capture_copy.cpp).
#pragma once

#include <ucontext.h>

#include <array>
#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/core/python_sample.h"
#include "shim/core/python_walk.h"
#include "shim/core/ring_writer.h"
#include "shim/core/thread.h"

namespace siprof::shim {

// One event with a stack. `values` as its kind's probe says.
struct Event {
  using Values = std::array<std::uint64_t, kEventValues>;
  Event(EventKind of_kind, std::uint64_t at_ns, const Values& of_it, const void* with = nullptr,
        std::uint32_t with_bytes = 0)
      : kind(of_kind), extra_bytes(with_bytes), time_ns(at_ns), values(of_it), extra(with) {}

  // In an order without gaps: a tick has one on its stack.
  EventKind kind;
  std::uint32_t extra_bytes;  // at most kMaxExtraBytes
  std::uint64_t time_ns;      // CLOCK_MONOTONIC
  Values values;
  const void* extra;
  // Not null: where it happened, which isn't where the thread is. The native frames of that are gone.
  const PythonTrace* trace = nullptr;
};

// Context: signal handler, `context` is its third argument, `event` of kCpu; or a hook (hook.h) and any other
// kind, the registers of which it holds. Errors: none; what is lost is counted. False: it is lost.
SIPROF_SIGNAL_SAFE bool capture(SharedHeader* header, std::uint64_t session, ThreadState& thread,
                                const Event& event, const ucontext_t* context);

// The same without a walk. Context: as capture().
SIPROF_SIGNAL_SAFE bool capture_copy(SharedHeader* header, std::uint64_t session, ThreadState& thread,
                                     const Event& event, const ucontext_t* context,
                                     const PythonSample& python);

// What both do. Context: as capture().
SIPROF_SIGNAL_SAFE void fill_head(EventHead* head, const ThreadState& thread, const Event& event,
                                  std::uint32_t unmap_generation, std::uint32_t flags);
SIPROF_SIGNAL_SAFE void count_written(const Event& event);
// Also has the kind's next sample tell of it.
SIPROF_SIGNAL_SAFE void count_pool_full(const Event& event);

// Of the pool. Errors are exact, and ticks tell of losses by a counter only.
constexpr PoolShare share_of(EventKind kind) {
  return kind == EventKind::kCpu || kind == EventKind::kError ? PoolShare::kWhole : PoolShare::kHalf;
}

// They were the parent's. Context: child of a fork.
void forget_lost();

// As it stands in a record.
constexpr std::uint32_t padded(std::uint32_t bytes) {
  return (bytes + 7) & ~7u;
}

}  // namespace siprof::shim
