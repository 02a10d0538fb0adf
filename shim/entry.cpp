// SPDX-License-Identifier: Apache-2.0
// What the loader and fork(2) run of us. The constructor must cost microseconds: it
// reads the environment, takes a signal and arms one timer; everything else waits
// for the first tick, which a short program never sees.
#include <pthread.h>

#include "shim/base/elf_lookup.h"
#include "shim/core/attach.h"
#include "shim/core/code_map.h"
#include "shim/core/config.h"
#include "shim/core/process.h"
#include "shim/core/signal.h"
#include "shim/core/thread.h"
#include "shim/core/timer.h"
#include "shim/core/unmaps.h"
#include "shim/probe/cpu.h"

namespace siprof::shim {

SIPROF_EARLY constinit Process g_process{};

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
  reset_signal_lock();
  forget_unmaps_under_way();
  inherit_code_map();
  ThreadState& thread = this_thread();
  if (may_call()) {
    g_process.pid = sys::thread_id();
    meet_unknown_thread(thread, g_process.pid);
  }
  thread.busy = false;
  thread.timer_slot = 0;
  thread.control_generation = 0;
  if (!g_config.follow_children) {
    g_process.off.store(1, std::memory_order_relaxed);
    return;
  }
  if (g_process.off.load(std::memory_order_relaxed) != 0 || !may_call()) return;
  arm_this_thread();
}

__attribute__((constructor)) void start(int argc, char** argv, char** envp) {
  read_config(argc, argv, envp);
  if (!g_config.enabled || g_config.kinds == 0) return;
  // A program with a loader and without libraries (Go's -buildmode=pie) brings its own runtime:
  // signals, threads and thread storage are its, and none of its calls come by here.
  if (!program_needs_libraries()) return;
  g_hz.store(g_config.hz, std::memory_order_relaxed);
  note_clock_resolution();
  meet_main_thread(argv);
  g_process.pid = this_thread().tid;
  if (!start_signal(on_tick)) return;
  arm_this_thread();
  pthread_atfork(before_fork, nullptr, after_fork_in_child);
  if (this_thread().tid == 1) attach_as_reaper();  // orphans come to pid 1, also those of a vfork
}

}  // namespace
}  // namespace siprof::shim
