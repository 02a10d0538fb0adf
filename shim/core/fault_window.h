// SPDX-License-Identifier: Apache-2.0
// Where a walk may meet a fault and live: the kernel ends a process whose thread has the signal of a fault
// blocked, or no room for its frame.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <cstdint>

#include "shim/base/attrs.h"
#include "shim/base/sys.h"
#include "shim/core/guarded_slot.h"
#include "shim/core/thread.h"

namespace siprof::shim {

// For its life, a fault in this thread reaches the guard: it isn't blocked, and there is room for its frame
// on the stack that it would use. Costs a system call where a mask may be in the way, else comparisons. A
// signal that is sent while the mask is open, though the app blocks it, waits in `slot` until the end.
// Context: signal handler, with its third argument; or a hook (`context` null). The thread has `slot`.
class FaultWindow {
 public:
  SIPROF_SIGNAL_SAFE FaultWindow(ThreadState& thread, GuardedSlot* slot, const ucontext_t* context);
  SIPROF_SIGNAL_SAFE ~FaultWindow();
  FaultWindow(const FaultWindow&) = delete;
  FaultWindow& operator=(const FaultWindow&) = delete;

  bool open() const { return open_; }

 private:
  SIPROF_SIGNAL_SAFE bool open_mask(ThreadState& thread, const ucontext_t* context);

  GuardedSlot* slot_;
  sys::SignalSet to_close_ = 0;
  bool open_ = false;
};

// A signal that was sent while a window had the mask opened for it: kept until the window closes. False: it
// is the app's now. Context: the handler of the signal.
SIPROF_SIGNAL_SAFE bool hold_signal(int signal, const siginfo_t* info, const ucontext_t* context);

}  // namespace siprof::shim
