// SPDX-License-Identifier: Apache-2.0
#include "shim/core/signal.h"

#include <sys/auxv.h>

#include "shim/base/text.h"
#include "shim/core/change_lock.h"
#include "shim/core/handler_masks.h"
#include "shim/core/process.h"
#include "shim/core/timer.h"

namespace siprof::shim {

SIPROF_EARLY constinit std::atomic<std::uint32_t> g_change_lock{0};

namespace {

constexpr sys::SignalSet all_candidates() {
  sys::SignalSet bits = 0;
  for (int signal : kCandidates) bits |= sys::signal_bit(signal);
  return bits;
}

// What the app set for the signals that are or were ours, in the order of kCandidates.
// Written under `lock`, read in handlers: a torn read can only mix two actions that the
// app changed at this moment.
SIPROF_EARLY constinit KernelAction g_app_actions[kCandidateCount]{};
SIPROF_EARLY constinit std::atomic<int> g_current{0};           // release after its action is installed
SIPROF_EARLY constinit std::atomic<sys::SignalSet> g_taken{0};  // release; bits only get added
SIPROF_EARLY constinit std::atomic<bool> g_avoids_alternate_stack{false};  // relaxed: read under the lock
// What waits while a tick is in its handler, as far as the app has no handler of its own. Relaxed: read and
// written under the lock.
SIPROF_EARLY constinit std::atomic<sys::SignalSet> g_tick_mask{~sys::SignalSet{0}};
SIPROF_EARLY constinit TickHandler g_handler = nullptr;
SIPROF_EARLY constinit std::uint64_t g_signal_frame = 0;  // 0: the kernel doesn't say

SIPROF_SIGNAL_SAFE unsigned long tick_flags() {
  const unsigned long flags = SA_SIGINFO | SA_RESTART | kRestorerFlag;
  return g_avoids_alternate_stack.load(std::memory_order_relaxed) ? flags : flags | SA_ONSTACK;
}

// One call where the signal is free, which it nearly always is. At start: nothing of the
// app runs yet. Later a handler of the app's must stay in its place at every moment.
SIPROF_SIGNAL_SAFE bool try_take(int signal, bool at_start) {
  KernelAction before{};
  if (!at_start && (kernel_sigaction(signal, nullptr, &before) != 0 || before.handler != SIG_DFL))
    return false;
  app_action(signal) = {};
  if (install_front(signal, app_action(signal), &before) != 0) return false;
  if (before.handler != SIG_DFL) {
    kernel_sigaction(signal, &before, nullptr);
    return false;
  }
  app_action(signal) = before;
  g_taken.fetch_or(sys::signal_bit(signal), std::memory_order_release);
  return true;
}

SIPROF_SIGNAL_SAFE bool take_next_free(bool at_start) {
  for (int signal : kCandidates) {
    if ((g_taken.load(std::memory_order_acquire) & sys::signal_bit(signal)) != 0) continue;
    if (!try_take(signal, at_start)) continue;
    g_current.store(signal, std::memory_order_release);
    return true;
  }
  return false;
}

// What the app set for it, with our handler in front or not.
long change_action(int signal, const KernelAction* set, KernelAction* old) {
  if (is_taken(signal)) {
    if (old != nullptr) *old = app_action(signal);
    if (set == nullptr) return 0;
    app_action(signal) = *set;
    return install_front(signal, *set);
  }
  KernelAction before{};
  if (const long failed = kernel_sigaction(signal, nullptr, &before); failed != 0) return failed;
  if (old != nullptr) {
    *old = before;
    old->mask = app_handler_mask(signal, before.mask);
  }
  if (set == nullptr) return 0;
  KernelAction kernel = *set;
  kernel.restorer = siprof_restore_rt;
  const bool on_alternate_stack = is_function(set->handler) && (set->flags & SA_ONSTACK) != 0;
  kernel.mask = handler_mask_for(signal, set->mask, on_alternate_stack);
  return kernel_sigaction(signal, &kernel, nullptr);
}

}  // namespace

KernelAction& app_action(int signal) {
  std::size_t at = 0;
  while (at + 1 < kCandidateCount && kCandidates[at] != signal) ++at;
  return g_app_actions[at];
}

void* front_handler() {
  return reinterpret_cast<void*>(g_handler);
}

// Our handler in front of the app's action. All signals wait while it runs (but leave_open_in_ticks()): a
// tick inside a tick has nothing to add. For a signal the app handles itself, its mask and flags hold, as
// they did without us; only ticks may need the alternate stack.
long install_front(int signal, const KernelAction& app, KernelAction* before) {
  KernelAction front{};
  front.handler = front_handler();
  front.flags = tick_flags();
  front.mask = g_tick_mask.load(std::memory_order_relaxed);
  front.restorer = siprof_restore_rt;
  if (is_function(app.handler)) {
    front.flags = (app.flags & ~(static_cast<unsigned long>(SA_RESETHAND))) | SA_SIGINFO | kRestorerFlag;
    if (signal == current_signal()) front.flags |= tick_flags() & SA_ONSTACK;
    front.mask = app.mask;
  }
  return kernel_sigaction(signal, &front, before);
}

long kernel_sigaction(int signal, const KernelAction* set, KernelAction* old) {
  return sys::call(SYS_rt_sigaction, signal, set, old, sizeof(sys::SignalSet));
}

bool is_function(const void* handler) {
  return handler != SIG_DFL && handler != SIG_IGN;
}

int current_signal() {
  return g_current.load(std::memory_order_acquire);
}
sys::SignalSet candidate_bits() {
  return all_candidates();
}
sys::SignalSet taken_bits() {
  return g_taken.load(std::memory_order_acquire);
}

bool start_signal(TickHandler handler) {
  g_handler = handler;
  if (!take_next_free(/*at_start=*/true)) return false;
  open_signal_in_this_thread();
  return true;
}

sys::SignalSet view_with(const ThreadState& thread, sys::SignalSet kernel_mask) {
  const sys::SignalSet ours = sys::signal_bit(current_signal());
  for (std::uint32_t i = 0; i < thread.known_mask_count; ++i) {
    if (thread.known_masks[i].kernel == (kernel_mask & ~ours)) return thread.known_masks[i].view & ours;
  }
  return thread.blocked_view & ours;
}

void remember_view(ThreadState& thread, sys::SignalSet kernel_mask, sys::SignalSet view) {
  kernel_mask &= ~sys::signal_bit(current_signal());
  thread.blocked_view = view;
  for (std::uint32_t i = 0; i < thread.known_mask_count; ++i) {
    if (thread.known_masks[i].kernel != kernel_mask) continue;
    thread.known_masks[i].view = view;
    return;
  }
  if (thread.known_mask_count < kKnownMasks) {
    thread.known_masks[thread.known_mask_count++] = {kernel_mask, view};
    return;
  }
  // Not the first: what a thread starts with is what it comes back to.
  const std::uint32_t at = 1 + thread.next_known_mask % (kKnownMasks - 1);
  thread.next_known_mask = static_cast<std::uint8_t>(at);
  thread.known_masks[at] = {kernel_mask, view};
}

sys::SignalSet take_left_signals(ThreadState& thread) {
  const sys::SignalSet left = thread.blocked_view & ~sys::signal_bit(current_signal());
  if (SIPROF_UNLIKELY(left != 0)) {
    thread.blocked_view &= ~left;
    thread.known_mask_count = 0;
  }
  return left;
}

void open_signal_in_this_thread() {
  const sys::SignalSet ours = sys::signal_bit(current_signal());
  sys::SignalSet old = 0;
  sys::change_mask(SIG_UNBLOCK, &ours, &old);
  ThreadState& thread = this_thread();
  remember_view(thread, old, thread.blocked_view | (old & ours));
}

sys::SignalSet kernel_mask_for(sys::SignalSet app_mask) {
  const int current = current_signal();
  return current == 0 ? app_mask : app_mask & ~sys::signal_bit(current);
}

bool reset_signal_lock() {
  return g_change_lock.exchange(0, std::memory_order_relaxed) != 0;
}

// AVX-512 makes it 3.5 KiB.
std::uint64_t signal_frame_bytes() {
  return g_signal_frame != 0 ? g_signal_frame : 4096;
}

void note_signal_frame() {
  constexpr unsigned long kAtMinSignalStack = 51;  // AT_MINSIGSTKSZ, since Linux 5.14
  g_signal_frame = getauxval(kAtMinSignalStack);
}

bool leave_signal(int signal) {
  if (!may_call()) return false;
  if (!is_own_process()) return true;  // a vfork child's action is no use by the app
  bool moved = false;
  {
    ChangeLock lock;
    if (current_signal() != signal) return true;
    moved = take_next_free(/*at_start=*/false);
    if (moved) {
      move_timers(current_signal());
      // It had ticks' flags; from here on it is the app's alone.
      install_front(signal, app_action(signal));
      refresh_handler_masks();
    }
  }
  if (!moved) return false;
  count(Counter::signal_moves);
  // What the app believes is blocked is now really blocked; the new one is open.
  const sys::SignalSet left = take_left_signals(this_thread());
  open_signal_in_this_thread();
  if (left != 0) sys::change_mask(SIG_BLOCK, &left, nullptr);
  return true;
}

// leave_signal() for a handler, where the thread's mask is the one that it returns to.
SIPROF_SIGNAL_SAFE void leave_in_handler(int signal, ThreadState& thread, sys::SignalSet& mask) {
  {
    ChangeLock lock;
    if (current_signal() != signal || !take_next_free(/*at_start=*/false)) return;
    move_timers(current_signal());
    install_front(signal, app_action(signal));
    refresh_handler_masks();
  }
  count(Counter::signal_moves);
  const sys::SignalSet ours = sys::signal_bit(current_signal());
  const sys::SignalSet view = mask & ours;
  mask &= ~ours;
  thread.blocked_view = 0;
  thread.known_mask_count = 0;
  remember_view(thread, mask, view);
}

void forward(int signal, siginfo_t* info, void* context, ThreadState* thread) {
  const sys::SignalSet bit = sys::signal_bit(signal);
  auto* machine = static_cast<ucontext_t*>(context);
  auto& mask = reinterpret_cast<sys::SignalSet&>(machine->uc_sigmask);
  const sys::SignalSet left = thread == nullptr ? 0 : take_left_signals(*thread);
  mask |= left;
  // The app has it blocked, so it must stay pending: block it for real when this
  // handler returns, and queue it again.
  if (thread != nullptr && ((left | view_with(*thread, mask)) & bit) != 0) {
    mask |= bit;
    if (!may_call()) return;
    // Who is sent it while it is blocked may wait for it, and waits for ours are left out.
    if (signal == current_signal()) leave_in_handler(signal, *thread, mask);
    const long pid = sys::call(SYS_getpid);
    if (info->si_code == SI_TKILL) {
      sys::call(SYS_rt_tgsigqueueinfo, pid, sys::thread_id(), signal, info);
    } else {
      sys::call(SYS_rt_sigqueueinfo, pid, signal, info);
    }
    return;
  }
  KernelAction& app = app_action(signal);
  void* handler = app.handler;
  if (handler == SIG_IGN) return;
  if (handler != SIG_DFL) {
    if ((app.flags & static_cast<unsigned long>(SA_RESETHAND)) != 0) app.handler = nullptr;
    reinterpret_cast<TickHandler>(handler)(signal, info, context);
    return;
  }
  // The kernel spares a namespace's first process what it has no handler for.
  if (sys::call(SYS_getpid) == 1) return;
  // The default of all four ends the process: let the kernel do it.
  KernelAction fallback{};
  fallback.restorer = siprof_restore_rt;
  fallback.flags = kRestorerFlag;
  kernel_sigaction(signal, &fallback, nullptr);
  mask &= ~bit;
  sys::call(SYS_tgkill, sys::call(SYS_getpid), sys::thread_id(), signal);
}

bool is_taken(int signal) {
  return signal >= 1 && signal <= 64 && (taken_bits() & sys::signal_bit(signal)) != 0;
}
bool is_candidate(int signal) {
  return signal >= 1 && signal <= 64 && (all_candidates() & sys::signal_bit(signal)) != 0;
}

long candidate_sigaction(int signal, const KernelAction* set, KernelAction* old) {
  if (set != nullptr && is_function(set->handler)) leave_signal(signal);
  ChangeLock lock;
  return change_action(signal, set, old);
}

void leave_open_in_ticks(sys::SignalSet signals) {
  g_tick_mask.store(~signals, std::memory_order_relaxed);
  for (const int signal : kCandidates) {
    if (is_taken(signal)) install_front(signal, app_action(signal));
  }
}

bool ticks_may_block(sys::SignalSet signals) {
  const KernelAction& app = app_action(current_signal());
  return is_function(app.handler) && (app.mask & signals) != 0;
}

void leave_alternate_stack() {
  if (g_avoids_alternate_stack.load(std::memory_order_relaxed) || !is_own_process()) return;
  ChangeLock lock;
  g_avoids_alternate_stack.store(true, std::memory_order_relaxed);
  if (current_signal() != 0) install_front(current_signal(), app_action(current_signal()));
}

}  // namespace siprof::shim
