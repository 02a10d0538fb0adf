// SPDX-License-Identifier: Apache-2.0
// Wrappers of everything that changes or reports a thread's signal mask. The kernel
// gets the mask without our signal, the app reads back what it set.
#include <errno.h>

#include "shim/base/arch.h"
#include "shim/core/exec_view.h"
#include "shim/core/guarded_slot.h"
#include "shim/core/handler_masks.h"
#include "shim/core/process.h"
#include "shim/core/signal.h"
#include "shim/core/thread.h"
#include "shim/real.h"

namespace siprof::shim {
namespace {

// Only the first word of sigset_t reaches the kernel.
sys::SignalSet& word(sigset_t& set) {
  return reinterpret_cast<sys::SignalSet&>(set);
}
sys::SignalSet word(const sigset_t& set) {
  return reinterpret_cast<const sys::SignalSet&>(set);
}

sys::SignalSet set_after(int how, sys::SignalSet before, sys::SignalSet set) {
  if (how == SIG_BLOCK) return before | set;
  if (how == SIG_UNBLOCK) return before & ~set;
  return set;
}

bool is_how(int how) {
  return how == SIG_BLOCK || how == SIG_UNBLOCK || how == SIG_SETMASK;
}

bool may_be_blocked(const ThreadState& thread) {
  sys::SignalSet views = thread.blocked_view;
  for (std::uint32_t i = 0; i < thread.known_mask_count; ++i) views |= thread.known_masks[i].view;
  return views != 0;
}

constexpr sys::SignalSet kViewNotAsked = ~sys::SignalSet{0};

// Where the call opens our signal for the app, that has to hold before the kernel delivers what
// was pending, which is before the call returns. Gives the view until now, or kViewNotAsked.
sys::SignalSet open_view_first(ThreadState& thread, int how, sys::SignalSet set, sys::SignalSet kernel_set) {
  const sys::SignalSet ours = sys::signal_bit(current_signal());
  if (!is_how(how) || (set_after(how, ours, set) & ours) != 0 || !may_be_blocked(thread))
    return kViewNotAsked;
  sys::SignalSet kernel = 0;
  sys::change_mask(SIG_BLOCK, nullptr, &kernel);
  const sys::SignalSet view = view_with(thread, kernel);
  if (view != 0) remember_view(thread, set_after(how, kernel, kernel_set), 0);
  return view;
}

template <typename Next>
int change(Next& next, int how, const sigset_t* set, sigset_t* old) {
  if (current_signal() == 0) return next(how, set, old);
  ThreadState& thread = this_thread();
  if (set != nullptr && !is_own_process()) follow_into_vfork(thread);
  if (is_vforked(thread)) return next(how, set, old);
  const sys::SignalSet ours = sys::signal_bit(current_signal());
  // Signals that were ours and no longer are: what was virtual becomes real.
  if (const sys::SignalSet left = take_left_signals(thread)) sys::change_mask(SIG_BLOCK, &left, nullptr);
  sigset_t kernel{};
  sys::SignalSet view = kViewNotAsked;
  if (set != nullptr) {
    kernel = *set;
    if (how != SIG_UNBLOCK) word(kernel) = kernel_mask_for(word(*set));
    view = open_view_first(thread, how, word(*set), word(kernel));
  }
  sigset_t before{};
  const int result = next(how, set != nullptr ? &kernel : nullptr, &before);
  if (result != 0) return result;
  if (view == kViewNotAsked) view = view_with(thread, word(before));
  if (set != nullptr) {
    remember_view(thread, set_after(how, word(before), word(kernel)),
                  set_after(how, view, word(*set)) & ours);
  }
  if (old != nullptr) {
    // Of the current signal only the view is known to the app, whatever the kernel has.
    *old = before;
    word(*old) = (word(before) & ~ours) | view;
  }
  return 0;
}

int change_or_errno(int how, const sigset_t* set, sigset_t* old) {
  return change(real::sigprocmask, how, set, old);
}

// The jump buffer's mask has room for 16 words, of which kernel and libc use four:
// the last two keep the view of the moment, which the kernel's mask doesn't show.
struct SavedView {
  sys::SignalSet magic;
  sys::SignalSet view;
};
constexpr sys::SignalSet kSavedViewMagic = 0x7369707266766577;

SavedView& saved_view(sigjmp_buf environment) {
  auto* end = reinterpret_cast<char*>(&environment[0].__saved_mask) + sizeof(sigset_t);
  return *reinterpret_cast<SavedView*>(end - sizeof(SavedView));
}

// A handler of the app's that came in the middle of siprof's own code jumps out of it: the frame that would
// say that the thread is no longer there never returns.
void leave_own_code(const void* environment) {
  ThreadState& thread = this_thread();
  if (thread.busy_sp != 0 && thread.busy_sp != kBusyForGood &&
      stack_after_jump(environment) >= thread.busy_sp) {
    thread.busy_sp = 0;
    drop_slot(thread);
  }
}

void before_jump(sigjmp_buf environment) {
  leave_own_code(environment);
  if (current_signal() == 0) return;
  if (environment[0].__mask_was_saved != 0) {
    SavedView& saved = saved_view(environment);
    if (saved.magic != kSavedViewMagic) return;
    remember_view(this_thread(), reinterpret_cast<const sys::SignalSet&>(environment[0].__saved_mask),
                  saved.view);
  } else if (has_alternate_stack_handlers()) {
    // Perhaps a jump out of a handler that runs with our signal blocked.
    const sys::SignalSet ours = sys::signal_bit(current_signal());
    sys::change_mask(SIG_UNBLOCK, &ours, nullptr);
  }
}

}  // namespace
}  // namespace siprof::shim

using namespace siprof;
using namespace siprof::shim;

int siprof_pthread_sigmask(int how, const sigset_t* set, sigset_t* old) {
  return change(real::pthread_sigmask, how, set, old);
}

int siprof_sigprocmask(int how, const sigset_t* set, sigset_t* old) {
  return change_or_errno(how, set, old);
}

// The BSD calls know 32 signals, ours among them.
static int change_bsd(int how, int mask) {
  sigset_t set{};
  sigset_t old{};
  word(set) = static_cast<unsigned>(mask);
  return change_or_errno(how, &set, &old) != 0 ? -1 : static_cast<int>(word(old));
}

int siprof_sigblock(int mask) {
  return change_bsd(SIG_BLOCK, mask);
}
int siprof_sigsetmask(int mask) {
  return change_bsd(SIG_SETMASK, mask);
}
int siprof_siggetmask() {
  return change_bsd(SIG_BLOCK, 0);
}

static int change_one(int how, int signal) {
  if (signal < 1 || signal > 64) {
    errno = EINVAL;
    return -1;
  }
  sigset_t set{};
  word(set) = sys::signal_bit(signal);
  return change_or_errno(how, &set, nullptr);
}

int siprof_sighold(int signal) {
  return change_one(SIG_BLOCK, signal);
}
int siprof_sigrelse(int signal) {
  return change_one(SIG_UNBLOCK, signal);
}

// Called by __sigsetjmp (jumps.S) before it goes on to libc's; returns libc's.
extern "C" __attribute__((visibility("hidden"))) void* siprof_before_setjmp(sigjmp_buf environment,
                                                                            int save_mask) {
  if (save_mask != 0 && current_signal() != 0) {
    sys::SignalSet kernel = 0;
    sys::change_mask(SIG_BLOCK, nullptr, &kernel);
    saved_view(environment) = SavedView{kSavedViewMagic, view_with(this_thread(), kernel)};
  }
  return reinterpret_cast<void*>(real::__sigsetjmp.get());
}

void siprof_siglongjmp(sigjmp_buf environment, int value) {
  before_jump(environment);
  real::siglongjmp(environment, value);
}
void siprof_longjmp(jmp_buf environment, int value) {
  before_jump(environment);
  real::longjmp(environment, value);
}
void siprof__longjmp(jmp_buf environment, int value) {
  before_jump(environment);
  real::_longjmp(environment, value);
}
void siprof___longjmp_chk(jmp_buf environment, int value) {
  before_jump(environment);
  real::__longjmp_chk(environment, value);
}

// The frame stays on the stack that is left, so that its view comes back with it,
// perhaps on another thread.
int siprof_swapcontext(ucontext_t* save, const ucontext_t* next) {
  if (current_signal() == 0) return real::swapcontext(save, next);
  sys::SignalSet kernel = 0;
  sys::change_mask(SIG_BLOCK, nullptr, &kernel);
  const sys::SignalSet view = view_with(this_thread(), kernel);
  const int result = real::swapcontext(save, next);
  remember_view(this_thread(), kernel, view);
  return result;
}
