// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/cpu.h"

#include <time.h>
#include <ucontext.h>

#include "shim/base/arch.h"
#include "shim/core/attach.h"
#include "shim/core/capture.h"
#include "shim/core/interruption.h"
#include "shim/core/own_cost.h"
#include "shim/core/process.h"
#include "shim/core/python_view.h"
#include "shim/core/sampler.h"
#include "shim/core/signal.h"
#include "shim/core/thread.h"
#include "shim/core/timer.h"
#include "shim/probe/wall.h"

namespace siprof::shim {
namespace {

SIPROF_SIGNAL_SAFE std::uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);  // vDSO: no system call, no errno
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// Whether the tick is this thread's own: one made without libc may share the storage of
// its creator.
SIPROF_SIGNAL_SAFE bool belongs_here(ThreadState& thread, std::uint32_t slot_plus_one, std::uint32_t weight) {
  const std::int32_t tid = timer_slot(slot_plus_one - 1).tid.load(std::memory_order_acquire);
  if (tid <= 0) return thread.tid != 0;  // the slot is being changed at this moment
  if (thread.tid == 0) meet_unknown_thread(thread, tid);
  // Or a second timer for one thread: a scan came between its creation and its start.
  if (thread.tid != tid || (thread.timer_slot != 0 && thread.timer_slot != slot_plus_one)) {
    if (thread.tid != tid) count(Counter::lost_shared_tls, weight);
    disarm_slot(slot_plus_one);
    return false;
  }
  thread.timer_slot = slot_plus_one;
  return true;
}

// Rates that the agent set since the last tick. Ticks so far stand for the old period.
SIPROF_SIGNAL_SAFE void follow_control(SharedHeader* header, ThreadState& thread) {
  // Pairs with the agent's release after the rates and kinds.
  const std::uint32_t generation = header->control_generation.load(std::memory_order_acquire);
  if (generation == thread.control_generation || !may_call()) return;
  thread.control_generation = generation;
  std::uint32_t hz = header->hz.load(std::memory_order_relaxed);
  if (hz < 1 || hz > 1000) return;
  const std::uint32_t kinds = header->kinds.load(std::memory_order_relaxed);
  // Of a kind that was off nothing was set up in the interpreter.
  if ((kinds & ~g_kinds.load(std::memory_order_relaxed)) != 0)
    g_python_news.store(1, std::memory_order_relaxed);
  g_kinds.store(kinds, std::memory_order_relaxed);
  draw_anew(thread);
  thread.idle = (kinds & kTickingKinds) == 0;
  if (thread.idle) hz = kIdleHz;
  g_hz.store(hz, std::memory_order_relaxed);
  if (hz == thread.hz) return;
  thread.hz = hz;
  retime_slot(thread.timer_slot, hz);
}

SIPROF_SIGNAL_SAFE void sample(ThreadState& thread, std::uint32_t weight, const ucontext_t* context) {
  const OwnCost cost(thread, Counter::handler_ns);
  Event event{EventKind::kCpu, monotonic_ns(), {weight}};
  std::uint64_t session = 0;
  SharedHeader* header = attach_if_due(event.time_ns, &session);
  if (header == nullptr) {
    count(Counter::lost_unattached, weight);
    return;
  }
  if (thread.hz == 0) thread.hz = g_hz.load(std::memory_order_relaxed);
  event.values[kCpuPeriodNs] = 1'000'000'000 / thread.hz;
  const bool on = (header->kinds.load(std::memory_order_relaxed) & kTickingKinds) != 0;
  event.values[kCpuInWait] = is_in_wait(thread, stack_pointer_of(context)) ? 1 : 0;
  // The first tick after the kinds are on again stands for time in which it was off.
  if (on && !thread.idle) capture(header, session, thread, event, context);
  follow_control(header, thread);
}

}  // namespace

void on_tick(int signal, siginfo_t* info, void* context) {
  const std::uint32_t slot =
      info->si_code == SI_TIMER ? timer_slot_index(info->si_value.sival_ptr) : kNoTimerSlot;
  const bool own_storage = has_thread_storage();
  if (slot == kNoTimerSlot) {
    forward(signal, info, context, own_storage ? &t_thread : nullptr);
    return;
  }
  const std::uint32_t weight = 1 + static_cast<std::uint32_t>(info->si_overrun > 0 ? info->si_overrun : 0);
  if (SIPROF_UNLIKELY(!own_storage)) {
    count(Counter::lost_shared_tls, weight);
    disarm_slot(slot + 1);
    return;
  }
  ThreadState& thread = t_thread;
  auto* machine = static_cast<ucontext_t*>(context);
  const std::uint64_t sp = stack_pointer_of(machine);
  if (is_busy(thread, sp)) {
    thread.owed_ticks += weight;
    count(Counter::ticks_deferred, weight);
    return;
  }
  thread.busy_sp = sp;
  // Signals that ticks have left: what the app believes is blocked becomes really so.
  reinterpret_cast<sys::SignalSet&>(machine->uc_sigmask) |= take_left_signals(thread);
  if (belongs_here(thread, slot + 1, weight)) {
    const std::uint32_t owed = thread.owed_ticks;
    thread.owed_ticks = 0;
    sample(thread, weight + owed, machine);
  }
  thread.busy_sp = 0;
  note_interruption(thread, machine);
}

}  // namespace siprof::shim
