// SPDX-License-Identifier: Apache-2.0
// The start and end of a thread made by the app: what its creator hands over, the
// timer it arms, and the timer's deletion as the last thing a thread does.
#pragma once

#include <cstdint>

#include "shim/base/sys.h"

namespace siprof::shim {

struct ThreadStart {
  void* function;
  void* argument;
  std::uint64_t stack_bytes;    // 0: unknown
  sys::SignalSet blocked_view;  // a thread inherits what its creator believes is blocked
};

// Whether new threads are to be sampled. Any thread.
bool profiling_threads();

// Keeps a start until the thread takes it; null when there is no memory. Any thread.
void* keep_thread_start(const ThreadStart& start);
ThreadStart take_thread_start(void* record);

// Context: the new thread, before the app's function.
void begin_thread(const ThreadStart& start);

}  // namespace siprof::shim
