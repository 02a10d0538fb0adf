// SPDX-License-Identifier: Apache-2.0
#include "shim/core/thread.h"

#include "shim/base/arch.h"
#include "shim/core/process.h"

namespace siprof::shim {

SIPROF_TLS ThreadState t_thread;

ThreadState& this_thread() {
  asm volatile("");
  return t_thread;
}

void meet_unknown_thread(ThreadState& thread, std::int32_t tid) {
  thread.tid = tid;
  thread.serial = g_process.last_serial.fetch_add(1, std::memory_order_relaxed) + 1;
}

void meet_main_thread(const void* argument_vector) {
  meet_unknown_thread(t_thread, sys::thread_id());
  t_thread.end_is_seen = true;
  // What the kernel puts on the first stack begins with the arguments: all frames lie
  // below, the environment above.
  const auto top = reinterpret_cast<std::uint64_t>(argument_vector);
  // Whatever the limit, the kernel keeps 128 MiB below it free of other mappings
  // (mmap_base in arch/x86/mm/mmap.c), so what lies there is this stack.
  constexpr std::uint64_t kOwnBytes = 120 * 1024 * 1024;
  t_thread.stack_high = top & ~std::uint64_t{7};
  t_thread.stack_low = top - kOwnBytes;
}

void meet_thread(std::uint64_t stack_bytes) {
  meet_unknown_thread(t_thread, sys::thread_id());
  // glibc puts the thread's control block at the top of its stack, the app's own
  // stack or not.
  const std::uint64_t top = thread_pointer();
  const auto here = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
  if (stack_bytes == 0 || here > top || top - here > stack_bytes) return;
  t_thread.stack_high = top;
  t_thread.stack_low = top - stack_bytes;
}

}  // namespace siprof::shim
