// SPDX-License-Identifier: Apache-2.0
#include "shim/core/timer.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "shim/base/sys.h"
#include "shim/base/text.h"
#include "shim/core/process.h"
#include "shim/core/signal.h"
#include "shim/core/thread.h"

namespace siprof::shim {

SIPROF_EARLY constinit TimerSlot g_first_timer_slots[kFirstTimerSlots]{};
constinit TimerSlot g_more_timer_slots[kTimerSlots - kFirstTimerSlots]{};
SIPROF_EARLY constinit std::atomic<std::uint32_t> g_hz{100};
SIPROF_EARLY constinit std::atomic<std::uint32_t> g_armed{0};

namespace {

// Where to look for a free slot first: no slot below it is known to be free.
SIPROF_EARLY constinit std::atomic<std::uint32_t> g_slot_hint{0};
// Slots from here on were never used.
SIPROF_EARLY constinit std::atomic<std::uint32_t> g_slots_touched{0};
constinit std::atomic<std::uint32_t> g_reap_at{0};
SIPROF_EARLY constinit std::atomic<std::uint32_t> g_limit{0};  // 0: not read yet
SIPROF_EARLY constinit std::uint64_t g_jiffy_ns = 0;           // written once, by the constructor

constexpr std::uint32_t kAlwaysOurs = 2;

// The kernel's clock of another thread's CPU time (include/linux/posix-timers_types.h).
constexpr std::int32_t cpu_clock_of(std::int32_t tid) {
  return (~tid << 3) | 6;
}

// A quarter of what the user may have queued, at least one.
SIPROF_SIGNAL_SAFE std::uint32_t slot_limit() {
  std::uint32_t limit = g_limit.load(std::memory_order_relaxed);
  if (limit != 0) return limit;
  rlimit64 pending{};
  const long failed = sys::call(SYS_prlimit64, 0, RLIMIT_SIGPENDING, nullptr, &pending);
  const std::uint64_t quarter = failed != 0 ? 1024 : pending.rlim_cur / 4;
  limit = static_cast<std::uint32_t>(quarter > kTimerSlots ? kTimerSlots : quarter < 1 ? 1 : quarter);
  g_limit.store(limit, std::memory_order_relaxed);
  return limit;
}

SIPROF_SIGNAL_SAFE timespec to_timespec(std::uint64_t ns) {
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

SIPROF_SIGNAL_SAFE std::uint64_t period_ns(std::uint32_t hz) {
  return 1'000'000'000 / (hz == 0 ? 1 : hz);
}

// Cheap and good enough for a phase; mixed as splitmix64 does.
SIPROF_SIGNAL_SAFE std::uint64_t random_below(std::uint64_t bound, std::uint64_t salt) {
  std::uint64_t x = __builtin_ia32_rdtsc() + salt * 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return (x ^ (x >> 31)) % bound;
}

SIPROF_SIGNAL_SAFE bool create_timer(TimerSlot& slot, std::int32_t tid, int signal) {
  sigevent event;
  zero_bytes(&event, sizeof(event));
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = signal;
  event.sigev_value.sival_ptr = &slot;
  event._sigev_un._tid = tid;
  std::int32_t timer_id = -1;
  if (sys::call(SYS_timer_create, cpu_clock_of(tid), &event, &timer_id) != 0) return false;
  slot.timer_id = timer_id;
  return true;
}

SIPROF_SIGNAL_SAFE void start_timer(TimerSlot& slot, std::uint32_t hz, std::uint64_t salt) {
  const std::uint64_t period = period_ns(hz);
  // The kernel looks at CPU timers once a jiffy, so a tick comes half of one late on
  // average, and a short thread ends without its last: start as much earlier.
  const std::uint64_t half_jiffy = g_jiffy_ns / 2;
  const std::uint64_t early = half_jiffy < period / 2 ? half_jiffy : period / 2;
  const std::uint64_t phase = random_below(period, salt);
  itimerspec times{};
  times.it_interval = to_timespec(period);
  times.it_value = to_timespec(phase > early ? phase - early : 1);
  sys::call(SYS_timer_settime, slot.timer_id, 0, &times, nullptr);
}

// Index of a slot that is now ours, or kNoTimerSlot.
SIPROF_SIGNAL_SAFE std::uint32_t claim_slot() {
  const std::uint32_t armed = g_armed.fetch_add(1, std::memory_order_relaxed);
  // The first few are always ours: no process of one thread asks for the limit.
  if (armed >= kAlwaysOurs && armed >= slot_limit()) {
    g_armed.fetch_sub(1, std::memory_order_relaxed);
    count(Counter::timers_refused);
    return kNoTimerSlot;
  }
  const std::uint32_t start = g_slot_hint.load(std::memory_order_relaxed);
  for (std::uint32_t i = 0; i < kTimerSlots; ++i) {
    const std::uint32_t index = (start + i) % kTimerSlots;
    std::int32_t free = 0;
    // Acquire pairs with the release in release_slot.
    if (!timer_slot(index).tid.compare_exchange_strong(free, -1, std::memory_order_acquire)) continue;
    g_slot_hint.store(index + 1, std::memory_order_relaxed);
    std::uint32_t touched = g_slots_touched.load(std::memory_order_relaxed);
    while (touched <= index &&
           !g_slots_touched.compare_exchange_weak(touched, index + 1, std::memory_order_relaxed)) {
    }
    return index;
  }
  g_armed.fetch_sub(1, std::memory_order_relaxed);
  count(Counter::timers_refused);
  return kNoTimerSlot;
}

SIPROF_SIGNAL_SAFE void release_slot(std::uint32_t index) {
  timer_slot(index).tid.store(0, std::memory_order_release);
  if (index < g_slot_hint.load(std::memory_order_relaxed))
    g_slot_hint.store(index, std::memory_order_relaxed);
  g_armed.fetch_sub(1, std::memory_order_relaxed);
}

SIPROF_SIGNAL_SAFE bool is_gone(std::int32_t tid) {
  return sys::call(SYS_tgkill, sys::call(SYS_getpid), tid, 0) == -ESRCH;
}

SIPROF_SIGNAL_SAFE std::uint32_t arm(std::int32_t tid) {
  const std::uint32_t index = claim_slot();
  if (index == kNoTimerSlot) return 0;
  TimerSlot& slot = timer_slot(index);
  if (!create_timer(slot, tid, current_signal())) {
    release_slot(index);
    if (!is_gone(tid)) count(Counter::timers_failed);  // one of the list may have ended since
    return 0;
  }
  start_timer(slot, g_hz.load(std::memory_order_relaxed), static_cast<std::uint64_t>(tid));
  // Release: whoever sees the tid sees timer_id.
  slot.tid.store(tid, std::memory_order_release);
  return index + 1;
}

SIPROF_SIGNAL_SAFE std::uint32_t touched_slots() {
  return g_slots_touched.load(std::memory_order_relaxed);
}

SIPROF_SIGNAL_SAFE bool is_armed(std::int32_t tid) {
  for (std::uint32_t i = 0; i < touched_slots(); ++i) {
    if (timer_slot(i).tid.load(std::memory_order_relaxed) == tid) return true;
  }
  return false;
}

}  // namespace

void note_clock_resolution() {
  timespec resolution{};
  // The coarse clock moves once a jiffy. (A system call: the vDSO's pages cost two faults.)
  if (sys::call(SYS_clock_getres, CLOCK_MONOTONIC_COARSE, &resolution) == 0 && resolution.tv_sec == 0) {
    g_jiffy_ns = static_cast<std::uint64_t>(resolution.tv_nsec);
  }
}

void arm_this_thread() {
  ThreadState& thread = this_thread();
  thread.hz = g_hz.load(std::memory_order_relaxed);
  thread.timer_slot = arm(thread.tid);
}

void disarm_slot(std::uint32_t slot_plus_one) {
  if (slot_plus_one == 0 || !may_call()) return;
  TimerSlot& slot = timer_slot(slot_plus_one - 1);
  std::int32_t tid = slot.tid.load(std::memory_order_acquire);
  if (tid <= 0 || !slot.tid.compare_exchange_strong(tid, -1, std::memory_order_acquire)) return;
  sys::call(SYS_timer_delete, slot.timer_id);
  release_slot(slot_plus_one - 1);
}

void arm_unknown(const std::int32_t* tids, std::uint32_t tid_count) {
  if (tid_count <= g_armed.load(std::memory_order_relaxed)) return;  // the usual case: all are
  for (std::uint32_t i = 0; i < tid_count; ++i) {
    if (!is_armed(tids[i])) arm(tids[i]);
  }
}

void retime_slot(std::uint32_t slot_plus_one, std::uint32_t hz) {
  if (slot_plus_one == 0) return;
  start_timer(timer_slot(slot_plus_one - 1), hz, slot_plus_one);
}

void move_timers(int signal) {
  for (std::uint32_t i = 0; i < touched_slots(); ++i) {
    TimerSlot& slot = timer_slot(i);
    std::int32_t tid = slot.tid.load(std::memory_order_acquire);
    // The claim keeps the thread's own end from deleting the timer meanwhile.
    if (tid <= 0 || !slot.tid.compare_exchange_strong(tid, -1, std::memory_order_acquire)) continue;
    sys::call(SYS_timer_delete, slot.timer_id);
    if (create_timer(slot, tid, signal)) {
      start_timer(slot, g_hz.load(std::memory_order_relaxed), static_cast<std::uint64_t>(tid));
      slot.tid.store(tid, std::memory_order_release);
    } else {
      release_slot(i);
    }
  }
}

void forget_timers() {
  for (std::uint32_t i = 0; i < touched_slots(); ++i) timer_slot(i).tid.store(0, std::memory_order_relaxed);
  g_armed.store(0, std::memory_order_relaxed);
  g_slot_hint.store(0, std::memory_order_relaxed);
}

void reap_some_timers() {
  if (g_armed.load(std::memory_order_relaxed) < 2) return;
  const long pid = sys::call(SYS_getpid);
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t index = g_reap_at.fetch_add(1, std::memory_order_relaxed) % touched_slots();
    const std::int32_t tid = timer_slot(index).tid.load(std::memory_order_acquire);
    constexpr long kNoSuchThread = -3;  // -ESRCH
    if (tid > 0 && sys::call(SYS_tgkill, pid, tid, 0) == kNoSuchThread) disarm_slot(index + 1);
  }
}

}  // namespace siprof::shim
