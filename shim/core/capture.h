// SPDX-License-Identifier: Apache-2.0
// Writes the interrupted thread's stack into its ring: walked by the agent's tables (capture_walk.cpp), or
// registers and a bounded copy that the agent unwinds (capture_copy.cpp).
#pragma once

#include <ucontext.h>

#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/core/thread.h"

namespace siprof::shim {

struct Tick {
  std::uint64_t time_ns;    // CLOCK_MONOTONIC
  std::uint32_t period_ns;  // CPU time that one tick stands for
  std::uint32_t weight;     // 1 + overruns
};

// Context: signal handler; `context` is its third argument.
// Errors: none; what is lost is counted.
SIPROF_SIGNAL_SAFE void capture(SharedHeader* header, std::uint64_t session, ThreadState& thread,
                                const Tick& tick, const ucontext_t* context);

// The same without a walk. Context: as capture().
SIPROF_SIGNAL_SAFE void capture_copy(SharedHeader* header, std::uint64_t session, ThreadState& thread,
                                     const Tick& tick, const ucontext_t* context);

}  // namespace siprof::shim
