// SPDX-License-Identifier: Apache-2.0
#include "shim/core/sandbox.h"

#include <time.h>

#include "shim/base/sys.h"
#include "shim/core/attach.h"
#include "shim/core/process.h"
#include "shim/core/thread.h"
#include "shim/core/timer.h"

namespace siprof::shim {
namespace {

// The filter may be for all threads: one that attaches right now would be killed in the
// middle. Not for ever, because a fork in that moment copies the lock.
void wait_for_attach_elsewhere() {
  constexpr int kTries = 400;
  constexpr timespec kPause{0, 50'000};
  for (int i = 0; i < kTries && g_process.attaching.load(std::memory_order_acquire) != 0; ++i)
    sys::call(SYS_nanosleep, &kPause, nullptr);
}

}  // namespace

bool prepare_for_filter() {
  if (!attach_now()) return false;
  g_process.filters.fetch_add(1, std::memory_order_relaxed);
  wait_for_attach_elsewhere();
  return true;
}

void stop_without_clock() {
  ThreadState& thread = this_thread();
  if (!may_call() || thread.tid != sys::thread_id())
    return;                                     // the child of a vfork: the rest is its parent's
  g_kinds.store(0, std::memory_order_relaxed);  // no hook reads a clock
  g_process.off.store(1, std::memory_order_relaxed);
  thread.busy_sp = kBusyForGood;  // nor a tick that is on its way
  disarm_slot(thread.timer_slot);
  thread.timer_slot = 0;
}

void forget_filter() {
  g_process.filters.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace siprof::shim
