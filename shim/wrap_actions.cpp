// SPDX-License-Identifier: Apache-2.0
// Wrappers of everything that sets a signal's action. For a signal that may be ours the
// shim answers; for others only the handler's mask is changed, and reported unchanged.
#include <errno.h>
#include <sys/auxv.h>

#include "shim/core/change_lock.h"
#include "shim/core/exec_view.h"
#include "shim/core/fault_guard.h"
#include "shim/core/handler_masks.h"
#include "shim/core/process.h"
#include "shim/core/signal.h"
#include "shim/core/thread.h"
#include "shim/real.h"

namespace siprof::shim {
namespace {

sys::SignalSet& word(sigset_t& set) {
  return reinterpret_cast<sys::SignalSet&>(set);
}

KernelAction to_kernel(const struct sigaction& app) {
  KernelAction out{};
  out.handler = reinterpret_cast<void*>(app.sa_handler);
  // libc adds the flag for its restorer, and the app reads it back.
  out.flags = static_cast<unsigned>(app.sa_flags) | kRestorerFlag;
  out.mask = reinterpret_cast<const sys::SignalSet&>(app.sa_mask);
  return out;
}

void from_kernel(const KernelAction& in, struct sigaction& app) {
  app = {};
  app.sa_handler = reinterpret_cast<sighandler_t>(in.handler);
  app.sa_flags = static_cast<int>(in.flags);
  app.sa_restorer = in.restorer;
  word(app.sa_mask) = in.mask;
}

using Answer = long (*)(int, const KernelAction*, KernelAction*);

int answer_by(Answer answer, int signal, const struct sigaction* set, struct sigaction* old) {
  KernelAction before{};
  const KernelAction after = set != nullptr ? to_kernel(*set) : KernelAction{};
  const long result = answer(signal, set != nullptr ? &after : nullptr, old != nullptr ? &before : nullptr);
  if (result < 0) {
    errno = static_cast<int>(-result);
    return -1;
  }
  if (old != nullptr) from_kernel(before, *old);
  return 0;
}

bool on_alternate_stack(const struct sigaction& action) {
  return (action.sa_flags & SA_ONSTACK) != 0 && is_function(reinterpret_cast<void*>(action.sa_handler));
}

// Of a signal that is the app's alone.
int change_real(int signal, const struct sigaction* set, struct sigaction* old) {
  struct sigaction kernel {};
  // Read before the change: it's the mask that was in force.
  struct sigaction before {};
  if (set != nullptr) kernel = *set;
  sys::SignalSet app_mask_before = 0;
  const int asked = old == nullptr ? 0 : real::sigaction(signal, nullptr, &before);
  if (old != nullptr && asked == 0) app_mask_before = app_handler_mask(signal, word(before.sa_mask));
  if (set != nullptr)
    word(kernel.sa_mask) = handler_mask_for(signal, word(kernel.sa_mask), on_alternate_stack(*set));
  const int result = real::sigaction(signal, set != nullptr ? &kernel : nullptr, old);
  if (result == 0 && old != nullptr) word(old->sa_mask) = app_mask_before;
  return result;
}

// Of a signal that the fault guard stands in front of.
long guarded_sigaction(int signal, const KernelAction* set, KernelAction* old) {
  KernelAction before{};
  if (const long failed = fault_sigaction(signal, nullptr, &before); failed != 0) return failed;
  if (old != nullptr) {
    *old = before;
    old->mask = app_handler_mask(signal, before.mask);
  }
  if (set == nullptr) return 0;
  KernelAction kernel = *set;
  kernel.restorer = siprof_restore_rt;
  const bool alternate = is_function(set->handler) && (set->flags & SA_ONSTACK) != 0;
  kernel.mask = handler_mask_for(signal, set->mask, alternate);
  return fault_sigaction(signal, &kernel, nullptr);
}

int change(int signal, const struct sigaction* set, struct sigaction* old) {
  if (signal < 1 || signal > 64 || current_signal() == 0) return real::sigaction(signal, set, old);
  if (set != nullptr && !is_own_process()) {
    follow_into_vfork(this_thread());
    return answer_by(vforked_sigaction, signal, set, old);
  }
  if (is_candidate(signal)) return answer_by(candidate_sigaction, signal, set, old);
  if (!is_fault_signal(signal)) return change_real(signal, set, old);
  // The guard begins before it or after it.
  const ChangeLock lock;
  return is_guarded(signal) ? answer_by(guarded_sigaction, signal, set, old) : change_real(signal, set, old);
}

// Ticks, the frame of a signal and a margin; the kernel kills where a frame doesn't fit.
std::size_t least_alternate_stack() {
  constexpr unsigned long kAtMinSignalStack = 51;  // AT_MINSIGSTKSZ, since Linux 5.14
  constexpr std::size_t kHandlerBytes = 1024;      // measured by test/preload/victims/handler_depth
  const unsigned long frame = getauxval(kAtMinSignalStack);
  return (frame != 0 ? frame : 2048) + kHandlerBytes;
}

// Which signals siginterrupt(3) has set; signal(3) keeps to it.
constinit std::atomic<sys::SignalSet> g_interrupting{0};

sighandler_t set_handler(int signal, sighandler_t handler, int flags, bool mask_itself) {
  if (handler == SIG_ERR || signal < 1 || signal > 64) {
    errno = EINVAL;
    return SIG_ERR;
  }
  struct sigaction action {};
  struct sigaction old {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  if (mask_itself) word(action.sa_mask) = sys::signal_bit(signal);
  return change(signal, &action, &old) != 0 ? SIG_ERR : old.sa_handler;
}

sighandler_t set_bsd(int signal, sighandler_t handler) {
  const bool interrupts = signal >= 1 && signal <= 64 &&
                          (g_interrupting.load(std::memory_order_relaxed) & sys::signal_bit(signal)) != 0;
  return set_handler(signal, handler, interrupts ? 0 : SA_RESTART, true);
}

sighandler_t set_sysv(int signal, sighandler_t handler) {
  return set_handler(signal, handler, static_cast<int>(SA_RESETHAND | SA_NODEFER), false);
}

}  // namespace
}  // namespace siprof::shim

using namespace siprof;
using namespace siprof::shim;

int siprof_sigaction(int signal, const struct sigaction* set, struct sigaction* old) {
  return change(signal, set, old);
}
int siprof___sigaction(int signal, const struct sigaction* set, struct sigaction* old) {
  return change(signal, set, old);
}
sighandler_t siprof_signal(int signal, sighandler_t handler) {
  return set_bsd(signal, handler);
}
sighandler_t siprof_bsd_signal(int signal, sighandler_t handler) {
  return set_bsd(signal, handler);
}
sighandler_t siprof_ssignal(int signal, sighandler_t handler) {
  return set_bsd(signal, handler);
}
sighandler_t siprof_sysv_signal(int signal, sighandler_t handler) {
  return set_sysv(signal, handler);
}
sighandler_t siprof___sysv_signal(int signal, sighandler_t handler) {
  return set_sysv(signal, handler);
}

sighandler_t siprof_sigset(int signal, sighandler_t disposition) {
  if (!is_taken(signal) && !is_fault_signal(signal)) return real::sigset(signal, disposition);
  sigset_t one{};
  sigset_t before{};
  word(one) = sys::signal_bit(signal);
  struct sigaction old {};
  if (disposition == SIG_HOLD) {
    if (siprof_sigprocmask(SIG_BLOCK, &one, &before) != 0 || change(signal, nullptr, &old) != 0)
      return SIG_ERR;
  } else {
    struct sigaction action {};
    action.sa_handler = disposition;
    if (change(signal, &action, &old) != 0 || siprof_sigprocmask(SIG_UNBLOCK, &one, &before) != 0)
      return SIG_ERR;
  }
  return (word(before) & sys::signal_bit(signal)) != 0 ? SIG_HOLD : old.sa_handler;
}

int siprof_sigignore(int signal) {
  return set_handler(signal, SIG_IGN, 0, false) == SIG_ERR ? -1 : 0;
}

int siprof_siginterrupt(int signal, int interrupt) {
  struct sigaction action {};
  if (change(signal, nullptr, &action) != 0) return -1;
  const sys::SignalSet bit = sys::signal_bit(signal);
  if (interrupt != 0) {
    g_interrupting.fetch_or(bit, std::memory_order_relaxed);
    action.sa_flags &= ~SA_RESTART;
  } else {
    g_interrupting.fetch_and(~bit, std::memory_order_relaxed);
    action.sa_flags |= SA_RESTART;
  }
  return change(signal, &action, nullptr);
}

int siprof_sigaltstack(const stack_t* set, stack_t* old) {
  // Before the stack is in use: a tick may come the moment it is.
  const bool small =
      set != nullptr && (set->ss_flags & SS_DISABLE) == 0 && set->ss_size < least_alternate_stack();
  if (small && current_signal() != 0) leave_alternate_stack();
  return real::sigaltstack(set, old);
}
