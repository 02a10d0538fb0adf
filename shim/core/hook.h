// SPDX-License-Identifier: Apache-2.0
// How a wrapper takes a sample: what the probes of shim/probe do on their slow way.
//
//   Hook hook(EventKind::kHeap);
//   if (!hook.on()) return;                  // nested, switched off, or no agent
//   hook.emit({EventKind::kHeap, 0, {id, size, interval}});
//
// Context: any thread, also inside signal handlers of the app, and any place where the app calls libc.
// Makes no libc call but clock_gettime, takes no lock, keeps errno.
#pragma once

#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/core/capture.h"
#include "shim/core/process.h"
#include "shim/core/thread.h"

namespace siprof::shim {

// Whether events of the kind are wanted, as far as this process has heard. Before the first attach it is what
// the environment says. What a wrapper asks on its fast way. Context: any thread.
__attribute__((always_inline)) inline bool kind_is_on(EventKind kind) {
  return (g_kinds.load(std::memory_order_relaxed) & kind_bit(kind)) != 0;
}

// While one lives, ticks of this thread wait and events of this thread go by. In the frame of the function
// that makes it.
class Hook {
 public:
  __attribute__((always_inline)) explicit Hook(EventKind kind) : thread_(this_thread()) {
    const std::uint64_t sp = stack_here();
    if (is_busy(thread_, sp)) {
      count(Counter::lost_events_reentry);
      return;
    }
    thread_.busy_sp = sp;
    entered_ = true;
    on_ = prepare(kind);
  }
  __attribute__((always_inline)) ~Hook() {
    if (entered_) thread_.busy_sp = 0;
  }
  Hook(const Hook&) = delete;
  Hook& operator=(const Hook&) = delete;

  // Not in siprof's own code already, so that counters of the thread may be changed.
  bool entered() const { return entered_; }
  // Entered, attached, and the kind is on.
  bool on() const { return on_; }
  // Where rates are; only while on().
  SharedHeader* header() const { return header_; }
  std::uint64_t session() const { return session_; }
  ThreadState& thread() const { return thread_; }
  // CLOCK_MONOTONIC when the hook began; only while on().
  std::uint64_t now_ns() const { return now_ns_; }

  // Writes the event with the stack that led here; time_ns 0: now_ns(). False: lost, and counted.
  bool emit(Event event);

 private:
  bool prepare(EventKind kind);

  ThreadState& thread_;
  SharedHeader* header_ = nullptr;
  std::uint64_t session_ = 0;
  std::uint64_t now_ns_ = 0;
  bool entered_ = false;
  bool on_ = false;
};

}  // namespace siprof::shim
