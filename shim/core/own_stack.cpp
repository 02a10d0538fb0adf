// SPDX-License-Identifier: Apache-2.0
#include "shim/core/own_stack.h"

#include <errno.h>

#include "shim/base/sys.h"
#include "shim/core/process.h"

namespace siprof::shim {
namespace {

constexpr std::uint64_t kPage = 4096;

// The kernel reads the new mask before it finds that it doesn't know what to do with it.
SIPROF_SIGNAL_SAFE bool is_readable(std::uint64_t page) {
  constexpr long kNoSuchWay = -1;
  return sys::call(SYS_rt_sigprocmask, kNoSuchWay, page, nullptr, sizeof(sys::SignalSet)) != -EFAULT;
}

}  // namespace

bool is_on_own_stack(ThreadState& thread, std::uint64_t sp) {
  if (sp < thread.stack_low || sp >= thread.stack_high) return false;
  const std::uint64_t page = sp & ~(kPage - 1);
  if (thread.readable_low == 0) thread.readable_low = (thread.stack_high + kPage - 1) & ~(kPage - 1);
  if (SIPROF_LIKELY(page >= thread.readable_low)) return true;
  if (!may_call()) {
    // The kernel has written this handler's frame right below it, or on an alternate stack.
    const auto here = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
    return here >= thread.stack_low && here < sp;
  }
  for (int pages = 0; pages < kPagesATick && page < thread.readable_low; ++pages) {
    if (!is_readable(thread.readable_low - kPage)) return false;
    thread.readable_low -= kPage;
  }
  return page >= thread.readable_low;
}

}  // namespace siprof::shim
