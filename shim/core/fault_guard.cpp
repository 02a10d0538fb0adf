// SPDX-License-Identifier: Apache-2.0
#include "shim/core/fault_guard.h"

#include <errno.h>

#include "shim/base/arch.h"
#include "shim/base/guarded.h"
#include "shim/base/text.h"
#include "shim/core/app_fault_action.h"
#include "shim/core/change_lock.h"
#include "shim/core/fault_window.h"
#include "shim/core/guarded_slot.h"
#include "shim/core/process.h"

namespace siprof::shim {
namespace {

enum class State : std::uint32_t {
  kNotBegun,
  kInForce,
  kAway,  // the kernel has another handler than ours, or is to ignore a signal for a new program
};
// Release after the fronts are installed; acquire before a guarded load.
constinit std::atomic<State> g_state{State::kNotBegun};
constinit std::atomic<sys::SignalSet> g_guarded{0};           // relaxed: bits only get added
constinit std::atomic<std::uint32_t> g_execs_that_ignore{0};  // relaxed: under the change lock

// As the app's own action would have the kernel behave. Of a default there is little: SIGSEGV ends the
// process on whatever stack.
SIPROF_SIGNAL_SAFE KernelAction front_of(const KernelAction& app) {
  KernelAction front{};
  front.handler = reinterpret_cast<void*>(siprof_fault_entry);
  front.flags = SA_SIGINFO | SA_RESTART | kRestorerFlag;
  front.restorer = siprof_restore_rt;
  if (is_function(app.handler)) {
    front.flags = (app.flags & ~static_cast<unsigned long>(SA_RESETHAND)) | SA_SIGINFO | kRestorerFlag;
    front.mask = app.mask;
    if (has_restorer(app)) front.restorer = app.restorer;
  }
  return front;
}

SIPROF_SIGNAL_SAFE bool same_action(const KernelAction& a, const KernelAction& b) {
  return a.handler == b.handler && a.flags == b.flags && a.mask == b.mask && a.restorer == b.restorer;
}

// Under the lock. An action that is set by a system call at this very moment is the app's as well.
SIPROF_SIGNAL_SAFE bool put_in_front(int signal) {
  constexpr int kTries = 4;
  KernelAction app{};
  if (kernel_sigaction(signal, nullptr, &app) != 0) return false;
  for (int i = 0; i < kTries; ++i) {
    if (is_fault_front(app)) return true;
    keep_fault_action(signal, app);
    g_guarded.fetch_or(sys::signal_bit(signal), std::memory_order_relaxed);
    const KernelAction front = front_of(app);
    KernelAction replaced{};
    if (kernel_sigaction(signal, &front, &replaced) != 0) return false;
    if (same_action(replaced, app)) return true;
    app = replaced;
    if (!is_fault_front(app)) kernel_sigaction(signal, &app, nullptr);
  }
  return false;
}

SIPROF_SIGNAL_SAFE bool kernel_has_fronts() {
  for (const int signal : kFaultSignals) {
    KernelAction action{};
    if (kernel_sigaction(signal, nullptr, &action) != 0 || !is_fault_front(action)) return false;
  }
  return true;
}

// The app's own, as the kernel would tell it.
SIPROF_SIGNAL_SAFE long read_action(int signal, KernelAction* to) {
  const long result = kernel_sigaction(signal, nullptr, to);
  if (result == 0 && is_fault_front(*to)) *to = fault_action(signal);
  return result;
}

}  // namespace

bool is_fault_front(const KernelAction& action) {
  return action.handler == reinterpret_cast<void*>(siprof_fault_entry);
}

bool is_guarded(int signal) {
  return is_fault_signal(signal) &&
         (g_guarded.load(std::memory_order_relaxed) & sys::signal_bit(signal)) != 0;
}

bool guard_is_in_force() {
  return g_state.load(std::memory_order_acquire) == State::kInForce;
}

bool begin_fault_guard() {
  if (g_state.load(std::memory_order_acquire) != State::kNotBegun) return guard_is_in_force();
  if (!may_call() || !is_own_process()) return false;
  const TryChangeLock lock;
  if (!lock.held() || !map_slots()) return false;
  if (g_state.load(std::memory_order_acquire) != State::kNotBegun) return guard_is_in_force();
  for (const int signal : kFaultSignals) {
    if (!put_in_front(signal)) return false;
  }
  leave_open_in_ticks(kFaultBits);
  g_state.store(State::kInForce, std::memory_order_release);
  return true;
}

// At each sample: a handler that was installed behind our back may meet no fault of ours.
bool guard_holds() {
  const State state = g_state.load(std::memory_order_acquire);
  if (state == State::kNotBegun) return false;
  // The kernel can't be asked any more. What libc sets still comes by here.
  if (!may_call()) return state == State::kInForce;
  const bool fronts = kernel_has_fronts();
  if (fronts == (state == State::kInForce)) return fronts;
  const TryChangeLock lock;
  if (!lock.held()) return false;
  const bool ours = kernel_has_fronts() && g_execs_that_ignore.load(std::memory_order_relaxed) == 0;
  g_state.store(ours ? State::kInForce : State::kAway, std::memory_order_release);
  return ours;
}

// As the kernel keeps it: some signals can't be blocked, and there are flags that it doesn't know.
SIPROF_SIGNAL_SAFE static KernelAction as_kept(const KernelAction& set, const KernelAction& front) {
  KernelAction kept = set;
  kept.mask = front.mask;
  kept.flags &= front.flags | static_cast<unsigned long>(SA_RESETHAND);
  return kept;
}

long fault_sigaction(int signal, const KernelAction* set, KernelAction* old) {
  if (old != nullptr) {
    if (const long failed = read_action(signal, old); failed != 0) return failed;
  }
  if (set == nullptr) return 0;
  if (!is_own_process() || !is_guarded(signal)) return kernel_sigaction(signal, set, nullptr);
  keep_fault_action(signal, *set);
  const KernelAction front = front_of(*set);
  KernelAction installed{};
  if (const long failed = kernel_sigaction(signal, &front, nullptr); failed != 0) return failed;
  if (is_function(set->handler) && kernel_sigaction(signal, nullptr, &installed) == 0)
    keep_fault_action(signal, as_kept(*set, installed));
  return 0;
}

long fault_sigaction_at(int signal, std::uint64_t set, std::uint64_t old) {
  KernelAction to_set{};
  if (set != 0) {
    GuardedBytes bytes(set);
    auto* to = reinterpret_cast<std::uint8_t*>(&to_set);
    for (std::uint32_t i = 0; i < sizeof(to_set); ++i) {
      if (!bytes.next(to + i)) return -EFAULT;
    }
  }
  // Written by the kernel first, which finds out whether it can be.
  if (old != 0) {
    if (const long failed = sys::call(SYS_rt_sigaction, signal, nullptr, old, sizeof(sys::SignalSet));
        failed != 0)
      return failed;
  }
  const ChangeLock lock;
  KernelAction before{};
  const long result = fault_sigaction(signal, set != 0 ? &to_set : nullptr, &before);
  if (result == 0 && old != 0) copy_bytes(reinterpret_cast<void*>(old), &before, sizeof(before));
  return result;
}

void settle_fault_guard(bool lock_was_held) {
  g_execs_that_ignore.store(0, std::memory_order_relaxed);
  if (!lock_was_held || !may_call()) return;
  for (const int signal : kFaultSignals) {
    KernelAction kernel{};
    if (!is_guarded(signal) || kernel_sigaction(signal, nullptr, &kernel) != 0 || !is_fault_front(kernel))
      continue;
    const KernelAction front = front_of(fault_action(signal));
    kernel_sigaction(signal, &front, nullptr);
  }
}

bool ignore_for_exec(int signal) {
  if (!is_guarded(signal) || fault_action(signal).handler != SIG_IGN) return false;
  {
    const ChangeLock lock;
    KernelAction kernel{};
    if (kernel_sigaction(signal, nullptr, &kernel) != 0 || !is_fault_front(kernel)) return false;
    if (is_own_process()) {
      g_execs_that_ignore.fetch_add(1, std::memory_order_relaxed);
      g_state.store(State::kAway);  // before the look at who is at it
    }
  }
  // Who can't be waited for might meet a fault: then the new program has the default.
  const bool nobody = !is_own_process() || wait_for_slots();
  const ChangeLock lock;
  if (nobody) {
    const KernelAction ignore = fault_action(signal);
    kernel_sigaction(signal, &ignore, nullptr);
  }
  return true;
}

void guard_after_exec(int signal) {
  const ChangeLock lock;
  const KernelAction front = front_of(fault_action(signal));
  kernel_sigaction(signal, &front, nullptr);
  if (!is_own_process()) return;
  g_execs_that_ignore.fetch_sub(1, std::memory_order_relaxed);
}

// What is sent doesn't come again by itself, and can be ignored.
SIPROF_SIGNAL_SAFE static bool is_sent(int signal, const siginfo_t* info) {
  constexpr int kMemoryErrorElsewhere = 5;  // BUS_MCEERR_AO
  return info->si_code <= 0 || (signal == SIGBUS && info->si_code == kMemoryErrorElsewhere);
}

// What the kernel does by default, once more and without us.
SIPROF_SIGNAL_SAFE static void take_default(int signal, siginfo_t* info, ucontext_t* context) {
  auto& mask = reinterpret_cast<sys::SignalSet&>(context->uc_sigmask);
  const sys::SignalSet bit = sys::signal_bit(signal);
  const bool again = !is_sent(signal, info) && info->si_code != SI_KERNEL;
  if (!may_call()) {
    // A fault whose signal is blocked ends the process, whoever handles it.
    mask |= again ? bit : kFaultBits;
    if (!again) set_instruction_pointer(context, reinterpret_cast<std::uint64_t>(siprof_fault_again));
    return;
  }
  KernelAction fallback{};
  fallback.flags = kRestorerFlag;
  fallback.restorer = siprof_restore_rt;
  kernel_sigaction(signal, &fallback, nullptr);
  if (again) return;
  mask &= ~bit;
  sys::call(SYS_rt_tgsigqueueinfo, sys::call(SYS_getpid), sys::thread_id(), signal, info);
}

extern "C" SIPROF_SIGNAL_SAFE void* siprof_on_fault(int signal, siginfo_t* info, void* context) {
  auto* machine = static_cast<ucontext_t*>(context);
  if (info->si_code > 0 &&
      instruction_pointer_of(machine) == reinterpret_cast<std::uint64_t>(siprof_load_at)) {
    set_instruction_pointer(machine, reinterpret_cast<std::uint64_t>(siprof_load_failed));
    count(Counter::python_faults);
    return nullptr;
  }
  if (info->si_code <= 0 && hold_signal(signal, info, machine)) return nullptr;
  const KernelAction app = take_fault_action(signal);
  if (is_function(app.handler)) {
    if (has_restorer(app)) return app.handler;
    // The kernel can't make a frame for it and has the process end by SIGSEGV.
    info->si_code = SI_KERNEL;
    take_default(SIGSEGV, info, machine);
    return nullptr;
  }
  if (app.handler != SIG_IGN || !is_sent(signal, info)) take_default(signal, info, machine);
  return nullptr;
}

}  // namespace siprof::shim
