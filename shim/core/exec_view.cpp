// SPDX-License-Identifier: Apache-2.0
#include "shim/core/exec_view.h"

#include "shim/core/app_fault_action.h"
#include "shim/core/fault_guard.h"
#include "shim/core/process.h"

namespace siprof::shim {

bool is_vforked(const ThreadState& thread) {
  return thread.vforked_pid != 0 && may_call() && thread.vforked_pid == sys::call(SYS_getpid);
}

void follow_into_vfork(ThreadState& thread) {
  if (is_vforked(thread)) return;
  sys::SignalSet kernel = 0;
  sys::change_mask(SIG_BLOCK, nullptr, &kernel);
  const sys::SignalSet left = thread.blocked_view & ~sys::signal_bit(current_signal());
  const sys::SignalSet blocked = view_with(thread, kernel) | left;
  if (blocked != 0) sys::change_mask(SIG_BLOCK, &blocked, nullptr);
  thread.vforked_pid = static_cast<std::int32_t>(sys::call(SYS_getpid));
}

long vforked_sigaction(int signal, const KernelAction* set, KernelAction* old) {
  KernelAction kernel{};
  if (set != nullptr) {
    kernel = *set;
    kernel.restorer = siprof_restore_rt;
  }
  const long result = kernel_sigaction(signal, set != nullptr ? &kernel : nullptr, old);
  if (result != 0 || old == nullptr) return result;
  if (old->handler == front_handler()) *old = app_action(signal);
  if (is_fault_front(*old)) *old = fault_action(signal);
  return result;
}

AppViewForExec::AppViewForExec() : blocked_(0), ignored_(0) {
  if (current_signal() == 0) return;
  ThreadState& thread = this_thread();
  // A vfork child that changed its mask has it in the kernel.
  if (!is_vforked(thread)) {
    sys::SignalSet kernel = 0;
    sys::change_mask(SIG_BLOCK, nullptr, &kernel);
    // What is left to be blocked stays noted: between vfork and exec the memory is the parent's.
    blocked_ = view_with(thread, kernel) | (thread.blocked_view & ~sys::signal_bit(current_signal()));
    if (blocked_ != 0) sys::change_mask(SIG_BLOCK, &blocked_, nullptr);
  }
  for (int signal : kCandidates) {
    if ((taken_bits() & sys::signal_bit(signal)) == 0 || app_action(signal).handler != SIG_IGN) continue;
    KernelAction before{};
    if (kernel_sigaction(signal, nullptr, &before) != 0 || before.handler != front_handler()) continue;
    KernelAction ignore{};
    ignore.handler = reinterpret_cast<void*>(SIG_IGN);
    ignore.flags = kRestorerFlag;
    ignore.restorer = siprof_restore_rt;
    kernel_sigaction(signal, &ignore, nullptr);
    ignored_ |= sys::signal_bit(signal);
  }
  for (int signal : kFaultSignals) {
    if (ignore_for_exec(signal)) ignored_ |= sys::signal_bit(signal);
  }
}

AppViewForExec::~AppViewForExec() {
  for (int signal : kCandidates) {
    if ((ignored_ & sys::signal_bit(signal)) != 0) install_front(signal, app_action(signal));
  }
  for (int signal : kFaultSignals) {
    if ((ignored_ & sys::signal_bit(signal)) != 0) guard_after_exec(signal);
  }
  const sys::SignalSet ours = blocked_ & sys::signal_bit(current_signal() == 0 ? 1 : current_signal());
  if (ours != 0) sys::change_mask(SIG_UNBLOCK, &ours, nullptr);
}

}  // namespace siprof::shim
