// SPDX-License-Identifier: Apache-2.0
#include "shim/core/middle.h"

#include <errno.h>
#include <poll.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include <atomic>

#include "shim/base/sys.h"

// The first and last byte of this library; the linker defines them.
extern "C" __attribute__((visibility("hidden"))) const char __ehdr_start[];
extern "C" __attribute__((visibility("hidden"))) const char _end[];

namespace siprof::shim {
namespace {

constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kAddressEnd = 0x7ffffffff000;         // of programs that ask for no more
constexpr std::uint64_t kLargeAddressEnd = 0xfffffffffff000;  // with five levels of page tables

// Set in the middle process's own copy; the app reads it there. Relaxed: one flag.
constinit std::atomic<std::uint32_t> g_only_waits{0};

struct Range {
  std::uint64_t start;
  std::uint64_t end;
};

// Pages that may not be unmapped (the kernel can seal its own) are left out by halves.
SIPROF_SIGNAL_SAFE void unmap(std::uint64_t start, std::uint64_t end) {
  std::uint64_t bytes = end - start;
  while (start < end) {
    const long result = sys::call(SYS_munmap, start, bytes);
    if (result == -EINVAL) return;
    if (result != 0 && bytes > kPageBytes) {
      bytes = bytes / 2 & ~(kPageBytes - 1);
      continue;
    }
    start += bytes;
    bytes = end - start < bytes * 2 ? end - start : bytes * 2;
  }
}

}  // namespace

void forget_app(const void* stack, std::uint64_t bytes) {
  const auto pages = [](std::uint64_t start, std::uint64_t end) {
    return Range{start & ~(kPageBytes - 1), (end + kPageBytes - 1) & ~(kPageBytes - 1)};
  };
  const auto stack_start = reinterpret_cast<std::uint64_t>(stack);
  Range low = pages(stack_start, stack_start + bytes);
  Range high = pages(reinterpret_cast<std::uint64_t>(__ehdr_start), reinterpret_cast<std::uint64_t>(_end));
  if (low.start > high.start) {
    const Range swapped = low;
    low = high;
    high = swapped;
  }
  unmap(0, low.start);
  unmap(low.end, high.start);
  unmap(high.end, kAddressEnd);
  sys::call(SYS_munmap, kAddressEnd, kLargeAddressEnd - kAddressEnd);  // EINVAL: there is no more
}

void outlive_app(std::int32_t app_pid) {
  while (sys::call(SYS_wait4, -1, nullptr, __WALL, nullptr) != -ECHILD) {
  }
  g_only_waits.store(1, std::memory_order_relaxed);
  constexpr int kPidfdOpen = 434;  // since Linux 5.3
  pollfd app{static_cast<int>(sys::call(kPidfdOpen, app_pid, 0)), POLLIN, 0};
  // While it is our parent its pid can't be another's, so the descriptor is the app's.
  while (sys::call(SYS_getppid) == app_pid) {
    const timespec second{1, 0};
    if (app.fd < 0) {
      sys::call(SYS_nanosleep, &second, nullptr);
    } else if (sys::call(SYS_poll, &app, 1, -1) > 0) {
      return;
    }
  }
}

bool middle_is_idle(std::int32_t middle_pid) {
  std::uint32_t only_waits = 0;
  iovec local{&only_waits, sizeof(only_waits)};
  iovec remote{&g_only_waits, sizeof(g_only_waits)};  // a fork: the same address there
  const long got = sys::call(SYS_process_vm_readv, middle_pid, &local, 1, &remote, 1, 0);
  return got == sizeof(only_waits) && only_waits == 1;
}

}  // namespace siprof::shim
