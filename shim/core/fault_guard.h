// SPDX-License-Identifier: Apache-2.0
// Stands in front of the app's actions for SIGSEGV and SIGBUS, so that a guarded load (shim/base/guarded.h)
// of something unreadable is stepped over. Only once there is a Python interpreter to look at: a program
// without one keeps its actions to itself.
//
// Every other fault is as it would be without us. The kernel has our handler with the app's own mask, flags
// and restorer, and the app's handler is jumped to; a default action gets the fault once more, without
// us. What the app sets goes here, and it reads back what it set. It can take both signals by system calls of
// its own; then nothing unreadable is touched any more (guard_holds()).
//
// A front that was installed stays: another thread may be in the middle of a walk.
#pragma once

#include <ucontext.h>

#include <atomic>
#include <cstdint>

#include "shim/base/attrs.h"
#include "shim/base/sys.h"
#include "shim/core/signal.h"

namespace siprof::shim {

inline constexpr int kFaultSignals[] = {SIGSEGV, SIGBUS};
inline constexpr sys::SignalSet kFaultBits = sys::signal_bit(SIGSEGV) | sys::signal_bit(SIGBUS);
constexpr bool is_fault_signal(int signal) {
  return signal == SIGSEGV || signal == SIGBUS;
}

// Stands in front from now on. False: not now, somebody else is changing an action or the kernel refuses.
// Context: signal handler, a hook.
SIPROF_SIGNAL_SAFE bool begin_fault_guard();

// Whether faults of guarded loads are stepped over, as far as is known. Context: any thread.
SIPROF_SIGNAL_SAFE bool guard_is_in_force();
// The same after a look at what the kernel has: two system calls, as long as they may be made. Context:
// signal handler, a hook.
SIPROF_SIGNAL_SAFE bool guard_holds();

// sigaction(2) for a fault signal as the kernel would answer without us. 0 or -errno. Context: any thread,
// under the lock of change_lock.h.
SIPROF_SIGNAL_SAFE long fault_sigaction(int signal, const KernelAction* set, KernelAction* old);
// The same by addresses that may not be readable, as rt_sigaction(2) takes them; takes the lock itself.
long fault_sigaction_at(int signal, std::uint64_t set, std::uint64_t old);
SIPROF_SIGNAL_SAFE bool is_fault_front(const KernelAction& action);
// Whether our handler was ever installed for it. Context: any thread.
SIPROF_SIGNAL_SAFE bool is_guarded(int signal);

// What the kernel has may be of another moment than what is kept. Context: child of a fork.
void settle_fault_guard(bool lock_was_held);

// For a new program: the kernel ignores `signal` itself if the app ignores it, with no walk meanwhile. False:
// nothing was changed. Context: any thread.
bool ignore_for_exec(int signal);
void guard_after_exec(int signal);

extern "C" {
__attribute__((visibility("hidden"))) void siprof_fault_entry();  // fault_entry.S
// Where the app's handler is to be jumped to, null: nothing is left to do.
__attribute__((visibility("hidden"))) void* siprof_on_fault(int signal, siginfo_t* info, void* context);
}

}  // namespace siprof::shim
