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

inline constexpr int kCandidates[] = {SIGPROF, SIGVTALRM, SIGSTKFLT, SIGPWR};
inline constexpr std::size_t kCandidateCount = sizeof(kCandidates) / sizeof(kCandidates[0]);

// Picks the signal, installs `handler`, opens it in the calling thread's mask.
// False: no signal is free, the process can't be sampled. Context: constructor.
bool start_signal(TickHandler handler);

// Context: signal handler, any thread.
SIPROF_SIGNAL_SAFE int current_signal();
SIPROF_SIGNAL_SAFE sys::SignalSet candidate_bits();  // the four
SIPROF_SIGNAL_SAFE sys::SignalSet taken_bits();      // those that are or were ours

// Gives a signal that isn't our tick what the app wants done with it. `thread` null: the
// storage of the running thread isn't to be trusted.
SIPROF_SIGNAL_SAFE void forward(int signal, siginfo_t* info, void* context, ThreadState* thread);

// Ticks move to the next free signal if `signal` is the current one. False: none is
// free, it is shared. Context: any thread, not a handler.
bool leave_signal(int signal);

// The kernel mask that goes with what the app asked for, given its view.
// Context: any thread.
SIPROF_SIGNAL_SAFE sys::SignalSet kernel_mask_for(sys::SignalSet app_mask);

// In a forked child another thread may have held the lock: whether one did. Context: fork child.
bool reset_signal_lock();

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

// Whether a signal is or was ours. Context: any thread.
SIPROF_SIGNAL_SAFE bool is_taken(int signal);
// Whether it is one of the four, so that candidate_sigaction answers for it.
bool is_candidate(int signal);

// sigaction(2) for one of the four, as the app sees it. `set` and `old` may be null.
// 0 or -errno. Context: any thread.
long candidate_sigaction(int signal, const KernelAction* set, KernelAction* old);

// From now on ticks don't use the alternate stack: the app has one that they wouldn't fit on.
// Context: any thread, not a handler.
void leave_alternate_stack();

// From now on ticks let these come while they are handled, unless the app handles the signal itself: those
// by which a guarded load fails. Under the lock of change_lock.h. Context: signal handler, any thread.
SIPROF_SIGNAL_SAFE void leave_open_in_ticks(sys::SignalSet signals);
// Whether a tick that begins now blocks one of them all the same. Context: signal handler.
SIPROF_SIGNAL_SAFE bool ticks_may_block(sys::SignalSet signals);

// Of a signal, on a stack; the kernel kills where it doesn't fit.
SIPROF_SIGNAL_SAFE std::uint64_t signal_frame_bytes();
void note_signal_frame();  // Context: constructor

SIPROF_SIGNAL_SAFE long kernel_sigaction(int signal, const KernelAction* set, KernelAction* old);
SIPROF_SIGNAL_SAFE bool is_function(const void* handler);

// What the app set for one of the four. Context: signal handler, any thread.
SIPROF_SIGNAL_SAFE KernelAction& app_action(int signal);
// Installs our handler in front of `app`. Under the lock or where nobody else can be.
SIPROF_SIGNAL_SAFE long install_front(int signal, const KernelAction& app, KernelAction* before = nullptr);
// What the kernel has for a signal with our handler in front.
SIPROF_SIGNAL_SAFE void* front_handler();

inline constexpr unsigned long kRestorerFlag = 0x04000000;  // SA_RESTORER: x86-64 has no other way back
extern "C" void siprof_restore_rt();                        // restore.S

}  // namespace siprof::shim
