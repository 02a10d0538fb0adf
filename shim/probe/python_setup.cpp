// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/python_setup.h"

#include <atomic>

#include "shim/core/config.h"
#include "shim/core/hook.h"
#include "shim/core/python_api.h"
#include "shim/core/thread.h"
#include "shim/probe/python_collections.h"
#include "shim/probe/python_entry.h"
#include "shim/probe/python_memory.h"
#include "shim/probe/python_raises.h"
#include "shim/probe/python_ref.h"
#include "shim/probe/python_unhandled.h"

namespace siprof::shim {
namespace {

enum Feature : std::uint32_t { kErrors = 1, kMemory = 2, kMetrics = 4 };

constinit std::atomic<std::uint32_t> g_set_up{0};  // Features; relaxed, changed with the interpreter's lock
constinit std::atomic<std::uint32_t> g_queued{0};  // 1: the pending call is on its way; relaxed, a hint
constinit bool g_end_is_seen = false;              // with the interpreter's lock

// The pending call may come while a subinterpreter runs.
constexpr std::uint32_t kMostTries = 100;
constinit std::uint32_t g_tries = 0;

std::uint32_t wanted_features() {
  std::uint32_t wanted = 0;
  if (kind_is_on(EventKind::kError) && !is_off(captured("SIPROF_PYTHON_ERRORS"))) wanted |= kErrors;
  if (kind_is_on(EventKind::kHeap) && !is_off(captured("SIPROF_PYTHON_ALLOC"))) wanted |= kMemory;
  if ((g_config.rates.kinds & kMetricsBit) != 0) wanted |= kMetrics;
  return wanted;
}

// The interpreter has ended: none of its objects is left. Context: the thread that ended it.
void leave_python() {
  forget_raises();
  forget_unhandled();
  forget_collections();
  leave_memory();
  g_set_up.store(0, std::memory_order_relaxed);
  g_end_is_seen = false;
  g_tries = 0;
  ask_for_python_again();
}

void set_up(std::uint32_t features) {
  const PyKeptError error;
  // Where its end can't be seen nothing may be left behind in it.
  if (!g_end_is_seen) g_end_is_seen = g_python.at_exit(leave_python) == 0;
  g_set_up.fetch_or(features, std::memory_order_relaxed);
  if (!g_end_is_seen) return;
  if ((features & kErrors) != 0) {
    watch_raises();
    watch_unhandled();
  }
  if ((features & kMetrics) != 0) watch_collections();
  if ((features & kMemory) != 0) enter_memory();
}

// Context: the interpreter's main thread, with its lock.
int set_up_pending(void*) {
  g_queued.store(0, std::memory_order_relaxed);
  ThreadState& thread = this_thread();
  const std::uint64_t sp = stack_here();
  const bool is_main = g_python.this_interpreter() == g_python.main_interpreter();
  if (!is_main || is_busy(thread, sp)) {
    if (g_tries++ < kMostTries) ask_for_python_again();
    return 0;
  }
  thread.busy_sp = sp;
  set_up(missing_python_features());
  this_thread().busy_sp = 0;
  return 0;
}

}  // namespace

std::uint32_t missing_python_features() {
  if (!g_config.enabled || g_queued.load(std::memory_order_relaxed) != 0) return 0;
  return wanted_features() & ~g_set_up.load(std::memory_order_relaxed);
}

bool queue_python_setup() {
  g_queued.store(1, std::memory_order_relaxed);
  if (g_python.add_pending_call(set_up_pending, nullptr) == 0) return true;
  g_queued.store(0, std::memory_order_relaxed);
  return false;
}

}  // namespace siprof::shim
