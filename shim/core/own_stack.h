// SPDX-License-Identifier: Apache-2.0
// Whether a stack can be read by plain loads. A handler on an alternate stack may find the stack pointer in a
// guard page (a frame that is larger than what is left and not touched yet), and a fiber's stack may lie
// within the thread's own, with a guard of its own above it. There a load would kill the app.
#pragma once

#include <cstdint>

#include "shim/base/attrs.h"
#include "shim/core/thread.h"

namespace siprof::shim {

// Whether [red_zone_start(sp), thread.stack_high) is the thread's own stack, and readable. Pages are looked
// at once: what was readable stays so as long as its thread lives. A comparison, but 0.1 µs a page when a
// thread is deeper than ever before; of a stack that grows by more than kPagesATick pages the next ticks
// know. Context: signal handler.
inline constexpr int kPagesATick = 256;
SIPROF_SIGNAL_SAFE bool is_on_own_stack(ThreadState& thread, std::uint64_t sp);

}  // namespace siprof::shim
