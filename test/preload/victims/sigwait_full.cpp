// SPDX-License-Identifier: Apache-2.0
// A thread waits for any signal at all (sigwait, sigwaitinfo, sigtimedwait or a signalfd on a full set) and
// takes each one for a reason to shut down, while others burn CPU. Only the app's own SIGTERM may come.
#include <sys/signalfd.h>
#include <csignal>
#include <cstring>
#include <thread>

#include "test/preload/victims/victim.h"

namespace {

sigset_t g_all;

int next_signal(const char* how) {
  int signal = 0;
  if (strcmp(how, "sigwait") == 0) {
    victim::require(sigwait(&g_all, &signal) == 0, "sigwait");
    return signal;
  }
  if (strcmp(how, "sigwaitinfo") == 0) return sigwaitinfo(&g_all, nullptr);
  if (strcmp(how, "sigtimedwait") == 0) {
    const timespec limit{20, 0};
    return sigtimedwait(&g_all, nullptr, &limit);
  }
  const int fd = signalfd(-1, &g_all, SFD_CLOEXEC);
  victim::require(fd >= 0, "signalfd");
  signalfd_siginfo info{};
  victim::require(read(fd, &info, sizeof info) == sizeof info, "read of a signalfd");
  close(fd);
  return static_cast<int>(info.ssi_signo);
}

}  // namespace

int main(int argc, char** argv) {
  const char* how = argc > 1 ? argv[1] : "sigwait";
  sigfillset(&g_all);
  sigprocmask(SIG_BLOCK, &g_all, nullptr);
  std::thread other([] { victim::burn_ms(500); });
  std::thread waiter([how] { printf("got signal %d\n", next_signal(how)); });
  victim::burn_ms(500);
  other.join();
  kill(getpid(), SIGTERM);
  waiter.join();
}
