// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/python_entry.h"

#include <errno.h>

#include "shim/core/process.h"
#include "shim/core/python_api.h"
#include "shim/core/thread.h"
#include "shim/core/unmaps.h"
#include "shim/probe/python_setup.h"

namespace siprof::shim {
namespace {

constinit std::atomic<std::uint32_t> g_entering{0};  // a try-lock; acquire/release

enum class Answer { kDone, kAskAgain };

// The queue of pending calls has a lock of its own, and is gone with the interpreter: asked for by a thread
// of the interpreter's, while that is up.
Answer ask_for_call() {
  if (missing_python_features() == 0) return Answer::kDone;
  // What is opened later the agent sees first.
  std::uint64_t session = 0;
  const SharedHeader* header = attached_header(&session);
  if (!find_python_api(header != nullptr && shows_python(header)))
    return unmap_generation() == kUnmapping ? Answer::kAskAgain : Answer::kDone;
  if (g_python.is_initialized() == 0 || g_python.this_thread_state() == nullptr) return Answer::kAskAgain;
  if (!is_own_process()) return Answer::kAskAgain;
  return queue_python_setup() ? Answer::kDone : Answer::kAskAgain;
}

}  // namespace

__attribute__((noinline)) void enter_python() {
  ThreadState& thread = this_thread();
  const std::uint64_t sp = stack_here();
  if (is_busy(thread, sp) || g_process.off.load(std::memory_order_relaxed) != 0) return;
  std::uint32_t free = 0;
  if (!g_entering.compare_exchange_strong(free, 1, std::memory_order_acquire)) return;
  const int error = errno;
  thread.busy_sp = sp;
  // Before it is looked, so that no news that come meanwhile are lost.
  g_python_news.store(0, std::memory_order_relaxed);
  if (ask_for_call() == Answer::kAskAgain) ask_for_python_again();
  this_thread().busy_sp = 0;
  errno = error;
  g_entering.store(0, std::memory_order_release);  // pairs with the acquire above
}

void ask_for_python_again() {
  g_python_news.store(1, std::memory_order_relaxed);
}

void forget_python_entry() {
  g_entering.store(0, std::memory_order_relaxed);
  // Another thread of the parent's may have had the lock of the queue.
  if (python_is_up()) g_python_news.store(0, std::memory_order_relaxed);
}

}  // namespace siprof::shim
