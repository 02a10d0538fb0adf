// SPDX-License-Identifier: Apache-2.0
// See bus_guard.h. The handler uses sigaction, mmap and an atomic only.
#include "collector-client/symbolize/bus_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace siprof::client {
namespace {

std::atomic<std::uint64_t> g_pages{0};  // relaxed: a statistic, nothing is published by it

void on_bus_error(int signal, siginfo_t* info, void*) {
  const int saved_errno = errno;
  constexpr std::uintptr_t kPage = 4096;
  void* page = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(info->si_addr) & ~(kPage - 1));
  const bool beyond_file = info->si_code == BUS_ADRERR;
  if (beyond_file &&
      mmap(page, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page) {
    g_pages.fetch_add(1, std::memory_order_relaxed);
  } else {
    // The faulting instruction runs again and meets the default action: a core dump at the right place.
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    sigaction(signal, &standard, nullptr);
  }
  errno = saved_errno;
}

}  // namespace

void install_bus_guard() {
  struct sigaction action = {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
}

std::uint64_t bus_guard_pages() {
  return g_pages.load(std::memory_order_relaxed);
}

}  // namespace siprof::client
