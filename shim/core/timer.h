// SPDX-License-Identifier: Apache-2.0
// One CPU-time timer a thread, whose expiry carries the address of its table slot:
// that is how the handler knows a tick of ours from anybody else's signal.
//
// Timers outlive their thread (measured), and each takes a place of RLIMIT_SIGPENDING,
// which all processes of a user share: they are deleted when the thread ends, what
// slips through is found later, and the table never takes more than a quarter.
#pragma once

#include <atomic>
#include <cstdint>

#include "shim/base/attrs.h"

namespace siprof::shim {

struct alignas(8) TimerSlot {
  std::atomic<std::int32_t> tid;  // 0: free, -1: being changed; acquire/release with timer_id
  std::int32_t timer_id;          // the kernel's
};

inline constexpr std::uint32_t kTimerSlots = 16384;
inline constexpr std::uint32_t kFirstTimerSlots = 32;  // apart: few programs have more threads
extern TimerSlot g_first_timer_slots[kFirstTimerSlots];
extern TimerSlot g_more_timer_slots[kTimerSlots - kFirstTimerSlots];

__attribute__((always_inline)) inline TimerSlot& timer_slot(std::uint32_t index) {
  return index < kFirstTimerSlots ? g_first_timer_slots[index] : g_more_timer_slots[index - kFirstTimerSlots];
}

inline constexpr std::uint32_t kNoTimerSlot = ~std::uint32_t{0};

// Index of the slot that a signal's value points to, kNoTimerSlot: not a tick of ours.
// Context: signal handler.
__attribute__((always_inline)) inline std::uint32_t timer_slot_index(const void* signal_value) {
  const auto address = reinterpret_cast<std::uint64_t>(signal_value);
  const std::uint64_t first = address - reinterpret_cast<std::uint64_t>(g_first_timer_slots);
  const std::uint64_t more = address - reinterpret_cast<std::uint64_t>(g_more_timer_slots);
  if (address % sizeof(TimerSlot) != 0) return kNoTimerSlot;
  if (first < sizeof(g_first_timer_slots)) return static_cast<std::uint32_t>(first / sizeof(TimerSlot));
  if (more < sizeof(g_more_timer_slots))
    return kFirstTimerSlots + static_cast<std::uint32_t>(more / sizeof(TimerSlot));
  return kNoTimerSlot;
}

// Learns how often the kernel looks at CPU timers. Context: constructor.
void note_clock_resolution();

// Starts the calling thread's timer, with a random first phase (a fixed one would make
// short threads all count or never). Failure is counted. Context: not a handler.
void arm_this_thread();

// Deletes the calling thread's timer. Context: its end, or the handler.
SIPROF_SIGNAL_SAFE void disarm_slot(std::uint32_t slot_plus_one);

// Starts timers of all `tids` that have none. Context: handler or any thread.
SIPROF_SIGNAL_SAFE void arm_unknown(const std::int32_t* tids, std::uint32_t tid_count);

// Sets the running thread's timer to `hz`. Context: signal handler.
SIPROF_SIGNAL_SAFE void retime_slot(std::uint32_t slot_plus_one, std::uint32_t hz);

// Recreates every timer with another signal. Context: any thread; handler.
SIPROF_SIGNAL_SAFE void move_timers(int signal);

// After fork: timers are not inherited. Context: fork child, before anything else.
void forget_timers();

// Deletes the timers of a few slots whose thread is gone. Any thread.
void reap_some_timers();

// While the kind is off: to hear when it is on again.
inline constexpr std::uint32_t kIdleHz = 1;

// In force for new timers; relaxed: each thread also follows the control block.
extern std::atomic<std::uint32_t> g_hz;
extern std::atomic<std::uint32_t> g_armed;  // slots in use; relaxed, a bound

}  // namespace siprof::shim
