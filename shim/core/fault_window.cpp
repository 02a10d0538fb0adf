// SPDX-License-Identifier: Apache-2.0
#include "shim/core/fault_window.h"

#include "shim/base/arch.h"
#include "shim/core/app_fault_action.h"
#include "shim/core/fault_guard.h"
#include "shim/core/process.h"
#include "shim/core/signal.h"

namespace siprof::shim {
namespace {

// What siprof_on_fault and what it calls use, and the walk below this frame. Measured: less than 900.
constexpr std::uint64_t kFaultBytes = 1536;

SIPROF_SIGNAL_SAFE bool is_within(const stack_t& stack, std::uint64_t sp) {
  const auto low = reinterpret_cast<std::uint64_t>(stack.ss_sp);
  return sp >= low && sp - low < stack.ss_size;
}

// A stack pointer of nobody's known stack: a fiber's. Its guard is a page that can't be read.
SIPROF_SIGNAL_SAFE bool is_readable(std::uint64_t page) {
  constexpr long kNoSuchWay = -1;
  return sys::call(SYS_rt_sigprocmask, kNoSuchWay, page & ~std::uint64_t{7}, nullptr,
                   sizeof(sys::SignalSet)) != -14 /*EFAULT*/;
}

// Of the app's actions for both signals.
SIPROF_SIGNAL_SAFE bool use_alternate_stack() {
  for (const int signal : kFaultSignals) {
    const KernelAction app = fault_action(signal);
    if (is_function(app.handler) && (app.flags & SA_ONSTACK) != 0) return true;
  }
  return false;
}

// A handler's context tells of the alternate stack, elsewhere the kernel does.
SIPROF_SIGNAL_SAFE bool find_alternate(const ucontext_t* context, stack_t* stack) {
  if (context != nullptr) {
    *stack = context->uc_stack;
    return true;
  }
  return may_call() && sys::call(SYS_sigaltstack, nullptr, stack) == 0;
}

// Where the kernel puts the frame of a fault, at whatever comes below `sp`.
SIPROF_SIGNAL_SAFE bool has_room(const ThreadState& thread, const ucontext_t* context, std::uint64_t sp) {
  const std::uint64_t need = signal_frame_bytes() + kFaultBytes;
  const bool on_own = sp >= thread.stack_low && sp < thread.stack_high;
  const bool may_switch = use_alternate_stack();
  stack_t alternate{};
  alternate.ss_flags = SS_DISABLE;
  if ((may_switch || !on_own) && !find_alternate(context, &alternate)) return false;
  // A new program's first thread has none without SS_DISABLE in a signal's frame, of size 0.
  const bool has_alternate = (alternate.ss_flags & SS_DISABLE) == 0 && alternate.ss_size != 0;
  if (has_alternate && is_within(alternate, sp))
    return sp - reinterpret_cast<std::uint64_t>(alternate.ss_sp) >= need;
  if (has_alternate && may_switch && alternate.ss_size < need) return false;
  if (on_own) return sp - thread.stack_low >= need;
  return may_call() && is_readable(sp - need);
}

// As it would have come to a thread that has it blocked: to be found by the next look.
SIPROF_SIGNAL_SAFE void send_again(const HeldSignal& held) {
  siginfo_t info{};
  info.si_signo = held.signal;
  info.si_code = held.code;
  info.si_pid = held.pid;
  info.si_uid = static_cast<uid_t>(held.uid);
  info.si_value.sival_ptr = reinterpret_cast<void*>(held.value);
  const long pid = sys::call(SYS_getpid);
  if (held.code == SI_TKILL)
    sys::call(SYS_rt_tgsigqueueinfo, pid, sys::thread_id(), held.signal, &info);
  else if (sys::call(SYS_rt_sigqueueinfo, pid, held.signal, &info) != 0)
    sys::call(SYS_kill, pid, held.signal);  // only the main thread may say that another process has sent it
}

}  // namespace

FaultWindow::FaultWindow(ThreadState& thread, GuardedSlot* slot, const ucontext_t* context) : slot_(slot) {
  open_ = has_room(thread, context, stack_here()) && open_mask(thread, context);
}

// A handler runs with what it interrupted had blocked, and with the mask that it was installed with: before
// the guard began that was everything. What a hook's thread has blocked only the kernel knows.
bool FaultWindow::open_mask(ThreadState& thread, const ucontext_t* context) {
  sys::SignalSet of_app = kFaultBits;
  if (context != nullptr) {
    of_app &= reinterpret_cast<const sys::SignalSet&>(context->uc_sigmask);
    if (of_app == 0 && thread.guard_seen && !ticks_may_block(kFaultBits)) return true;
  }
  if (!may_call()) return false;
  sys::SignalSet before = 0;
  const sys::SignalSet bits = kFaultBits;
  slot_->mask_is_open = true;  // before the call: it delivers what was pending
  if (sys::change_mask(SIG_UNBLOCK, &bits, &before) != 0) return false;
  // What only the handler itself has blocked stays open to its end: the next look doesn't ask.
  to_close_ = before & of_app;
  slot_->mask_is_open = to_close_ != 0;
  if (context != nullptr) thread.guard_seen = true;
  return true;
}

FaultWindow::~FaultWindow() {
  if (SIPROF_LIKELY(to_close_ == 0 && slot_->held.signal == 0)) return;
  if (to_close_ != 0) sys::change_mask(SIG_BLOCK, &to_close_, nullptr);
  slot_->mask_is_open = false;
  if (slot_->held.signal == 0) return;
  send_again(slot_->held);
  slot_->held.signal = 0;
}

bool hold_signal(int signal, const siginfo_t* info, const ucontext_t* context) {
  if (!has_thread_storage()) return false;
  ThreadState& thread = t_thread;
  if (!thread.is_guarded || !is_busy(thread, stack_pointer_of(context))) return false;
  GuardedSlot* slot = slot_of(thread);
  // A second one is lost, as a pending signal that comes twice is.
  if (slot == nullptr || !slot->mask_is_open) return false;
  if (slot->held.signal == 0) {
    slot->held = {signal, info->si_code, info->si_pid, static_cast<std::int32_t>(info->si_uid),
                  reinterpret_cast<std::uint64_t>(info->si_value.sival_ptr)};
  }
  return true;
}

}  // namespace siprof::shim
