// SPDX-License-Identifier: Apache-2.0
// System calls that our tick has cut short. Before Linux 5.11 the signal of a CPU timer may come while a
// thread is on its way into a wait, and ends it; later kernels send it on the way out, so that there is
// nothing to do. Most calls are restarted by the kernel (SA_RESTART). Those with a time limit, and poll,
// epoll_wait, pause and their like, end with EINTR whoever sent the signal: the handler notes when it was
// ours alone, and the wrapper of the call goes on with the time that is left. A signal of the app's that came
// as well ends the call as if we weren't there; only one that comes in the very microsecond in which the
// other's handler is left can't be told.
//
//   expect_interruption(thread);
//   result = real::poll(…);
//   if (result < 0 && errno == EINTR && take_own_interruption(thread)) …   // go on
#pragma once

#include <cstdint>

#include "shim/base/attrs.h"
#include "shim/core/signal.h"
#include "shim/core/thread.h"

namespace siprof::shim {

// Whether a tick may end a call; written before there are ticks.
extern bool g_ticks_interrupt;

// Looks how old the kernel is. Context: constructor.
void find_out_whether_ticks_interrupt();

// Notes whether the tick that this handler is for has interrupted a system call, and no other signal has.
// The last thing that the handler does: the app's signals that come later find the call still on.
// Context: signal handler, all signals blocked.
SIPROF_SIGNAL_SAFE void note_interruption(ThreadState& thread, const void* ucontext);

// Before a call that may be taken up again: what was noted of others doesn't count. Any thread.
inline void expect_interruption(ThreadState& thread) {
  thread.interrupted_sp = 0;
}

// Once for each: whether the call that has just failed with EINTR was made by the calling function or by what
// it called, and was interrupted by our tick. One that a handler of the app made meanwhile was further down
// the stack. Keeps errno. Any thread.
__attribute__((always_inline)) inline bool take_own_interruption(ThreadState& thread) {
  // Less than a signal's frame with its floating-point state. The caller may be a helper of the wrapper's,
  // whose frame lies where that of the call was.
  constexpr std::uint32_t kBelow = 640;
  constexpr std::uint32_t kAbove = 256;
  const std::uint32_t noted = thread.interrupted_sp;
  thread.interrupted_sp = 0;
  return noted != 0 && static_cast<std::uint32_t>(stack_here()) + kAbove - noted < kAbove + kBelow;
}

}  // namespace siprof::shim
