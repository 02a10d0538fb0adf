// SPDX-License-Identifier: Apache-2.0
// The signal that ticks arrive by, and the app's own idea of it.
//
// Ours is one of four (SIGPROF first) with the default disposition at start. The app
// goes on as if it weren't taken: its actions for it are kept here and reported
// back, signals that aren't our ticks get the action the app chose, and when it
// starts to use the signal itself (a handler, a timer, sigwait), ticks move to the
// next free one. A signal that was ever ours keeps our handler in front, because a
// late tick would otherwise meet the app's handler, or the default, which kills.
//
// Masks: the current signal stays deliverable even when the app blocks "all"; what
// the app believes is kept per thread (ThreadState::blocked_view) and reported.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <atomic>

#include "shim/base/attrs.h"
#include "shim/base/sys.h"
#include "shim/core/thread.h"

namespace siprof::shim {

using TickHandler = void (*)(int, siginfo_t*, void*);

// Picks the signal, installs `handler`, opens it in the calling thread's mask.
// False: no signal is free, the process can't be sampled. Context: constructor.
bool start_signal(TickHandler handler);

// Context: signal handler, any thread.
SIPROF_SIGNAL_SAFE int current_signal();
SIPROF_SIGNAL_SAFE sys::SignalSet candidate_bits();  // the four
SIPROF_SIGNAL_SAFE sys::SignalSet taken_bits();      // those that are or were ours

// Gives a signal that isn't our tick what the app wants done with it.
SIPROF_SIGNAL_SAFE void forward(int signal, siginfo_t* info, void* context);

// Ticks move to the next free signal if `signal` is the current one. False: none is
// free, it is shared. Context: any thread, not a handler.
bool leave_signal(int signal);

// The kernel mask that goes with what the app asked for, given its view.
// Context: any thread.
SIPROF_SIGNAL_SAFE sys::SignalSet kernel_mask_for(sys::SignalSet app_mask);

// Blocks and ignores in the kernel what the app believes is blocked and ignored,
// for the life of the object: what exec and spawn hand on. Costs two system calls
// when there is a difference, else none.
class AppViewForExec {
 public:
  AppViewForExec();
  ~AppViewForExec();
  AppViewForExec(const AppViewForExec&) = delete;
  AppViewForExec& operator=(const AppViewForExec&) = delete;

 private:
  sys::SignalSet blocked_;
  sys::SignalSet ignored_;
};

// In a forked child another thread may have held the lock. Context: fork child.
void reset_signal_lock();

// What the app believes is blocked of our signal, while the kernel has `kernel_mask`.
// Context: signal handler, any thread.
SIPROF_SIGNAL_SAFE sys::SignalSet view_with(const ThreadState& thread, sys::SignalSet kernel_mask);
// The app's view is `view` from now on, and when the kernel has this mask again.
SIPROF_SIGNAL_SAFE void remember_view(ThreadState& thread, sys::SignalSet kernel_mask, sys::SignalSet view);
// Signals that ticks have left and the kernel still has to block; forgets them.
SIPROF_SIGNAL_SAFE sys::SignalSet take_left_signals(ThreadState& thread);

// Opens our signal in the calling thread; remembers that the app had it blocked.
void open_signal_in_this_thread();

// The app's action for a signal that is or was ours, kernel layout.
struct KernelAction {
  void* handler;  // SIG_DFL, SIG_IGN or a function
  unsigned long flags;
  void (*restorer)();
  sys::SignalSet mask;
};

// Whether a signal is or was ours, so that taken_sigaction answers for it.
// Context: any thread.
bool is_taken(int signal);

// sigaction(2) for a taken signal, as the app sees it. `set` and `old` may be null.
// 0 or -errno. Context: any thread.
long taken_sigaction(int signal, const KernelAction* set, KernelAction* old);

// The mask that the kernel gets for a handler of another signal, and the one the app
// reads back. Context: any thread.
sys::SignalSet handler_mask_for(int signal, sys::SignalSet app_mask, bool on_alternate_stack);
sys::SignalSet app_handler_mask(int signal, sys::SignalSet kernel_mask);

// True where a handler on an alternate stack was ever installed: those run with our
// signal blocked (its frame might not fit there), which a longjmp out must undo.
bool has_alternate_stack_handlers();

}  // namespace siprof::shim
