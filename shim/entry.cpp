// SPDX-License-Identifier: Apache-2.0
// What the loader and fork(2) run of us. The constructor must cost microseconds: it
// reads the environment, takes a signal and arms one timer; everything else waits
// for the first tick, which a short program never sees.
#include <pthread.h>

#include "shim/base/elf_lookup.h"
#include "shim/core/attach.h"
#include "shim/core/capture.h"
#include "shim/core/code_map.h"
#include "shim/core/config.h"
#include "shim/core/fault_guard.h"
#include "shim/core/guarded_slot.h"
#include "shim/core/interruption.h"
#include "shim/core/io_bank.h"
#include "shim/core/late_symbol.h"
#include "shim/core/process.h"
#include "shim/core/python_sums.h"
#include "shim/core/python_view.h"
#include "shim/core/sampler.h"
#include "shim/core/signal.h"
#include "shim/core/thread.h"
#include "shim/core/timer.h"
#include "shim/core/unmaps.h"
#include "shim/earlier_allocator.h"
#include "shim/probe/allocator.h"
#include "shim/probe/cpu.h"
#include "shim/probe/live_heap.h"
#include "shim/probe/lock_flags.h"
#include "shim/probe/python_entry.h"

namespace siprof::shim {

SIPROF_EARLY constinit Process g_process{};
SIPROF_EARLY constinit std::atomic<std::uint32_t> g_kinds{0};

namespace {

void before_fork() {
  note_code_map_of_parent();
  attach_before_fork();
}

// Timers aren't inherited; shared memory, slots and locks are the parent's.
void after_fork_in_child() {
  forget_timers();
  g_process.attaching.store(0, std::memory_order_relaxed);
  g_process.failures.store(0, std::memory_order_relaxed);
  g_process.next_attach_ns.store(0, std::memory_order_relaxed);
  for (auto& cell : g_process.early) cell.store(0, std::memory_order_relaxed);
  forget_early_io();
  forget_early_python_sums();
  forget_lost();
  settle_fault_guard(/*lock_was_held=*/reset_signal_lock());
  forget_slots();
  inherit_python();
  forget_python_entry();
  forget_unmaps_under_way();
  inherit_code_map();
  forget_followed();
  ThreadState& thread = this_thread();
  thread.is_guarded = false;
  if (may_call()) {
    g_process.pid = sys::thread_id();
    meet_unknown_thread(thread, g_process.pid);
  }
  thread.busy_sp = 0;
  thread.timer_slot = 0;
  thread.control_generation = 0;
  thread.io_bank = 0;
  thread.owed_ticks = 0;
  thread.random = 0;  // or it would draw what its parent draws
  draw_anew(thread);
  forget_waiters();
  note_unseen_allocator();
  if (!g_config.follow_children) {
    g_process.off.store(1, std::memory_order_relaxed);
    return;
  }
  if (g_process.off.load(std::memory_order_relaxed) != 0 || !may_call()) return;
  arm_this_thread();
}

__attribute__((constructor)) void start(int argc, char** argv, char** envp) {
  note_modules_of_start();
  read_config(argc, argv, envp);
  if (!g_config.enabled || g_config.rates.kinds == 0) return;
  // A program with a loader and without libraries (Go's -buildmode=pie) brings its own runtime:
  // signals, threads and thread storage are its, and none of its calls come by here.
  if (!program_needs_libraries()) return;
  // Of metrics alone nothing would happen in here that attaches: ticks do, and the agent stops them.
  g_hz.store((g_config.rates.kinds & (kTickingKinds | kMetricsBit)) != 0 ? g_config.rates.hz : kIdleHz,
             std::memory_order_relaxed);
  note_clock_resolution();
  note_signal_frame();
  find_out_whether_ticks_interrupt();
  meet_main_thread(argv);
  g_process.pid = this_thread().tid;
  if (!start_signal(on_tick)) return;
  g_kinds.store(g_config.rates.kinds, std::memory_order_relaxed);  // hooks begin
  g_python_news.store(1, std::memory_order_relaxed);
  stand_before_earlier_allocator();
  draw_anew(this_thread());
  note_unseen_allocator();
  arm_this_thread();
  pthread_atfork(before_fork, nullptr, after_fork_in_child);
  if (this_thread().tid == 1) attach_as_reaper();  // orphans come to pid 1, also those of a vfork
}

}  // namespace
}  // namespace siprof::shim
