// SPDX-License-Identifier: Apache-2.0
// Handlers that change the mask while they run: the kernel takes that back when they return, so the thread
// must read what it had before. Also a handler whose sa_mask holds everything.
#include <sys/time.h>
#include <csignal>

#include "test/preload/victims/victim.h"

namespace {

volatile long g_wrong_inside = 0;

void block_all(int) {
  sigset_t all, now;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  sigprocmask(SIG_SETMASK, nullptr, &now);
  if (sigismember(&now, SIGPROF) != 1) g_wrong_inside = g_wrong_inside + 1;
}

void look(int) {
  sigset_t now;
  sigprocmask(SIG_SETMASK, nullptr, &now);
  if (sigismember(&now, SIGPROF) != 1) g_wrong_inside = g_wrong_inside + 1;
}

long run(void (*handler)(int), bool full_mask) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  if (full_mask) sigfillset(&action.sa_mask);
  sigaction(SIGALRM, &action, nullptr);
  const itimerval every{{0, 5'000}, {0, 5'000}};
  setitimer(ITIMER_REAL, &every, nullptr);
  long wrong = 0;
  const int64_t end = victim::thread_cpu_ns() + 300'000'000;
  while (victim::thread_cpu_ns() < end) {
    victim::spin(1);
    sigset_t now;
    sigprocmask(SIG_SETMASK, nullptr, &now);
    for (int signal = 1; signal <= 64; ++signal) wrong += sigismember(&now, signal) == 1;
  }
  const itimerval never{};
  setitimer(ITIMER_REAL, &never, nullptr);
  return wrong;
}

}  // namespace

int main() {
  printf("a handler that blocks: %ld wrong after it\n", run(block_all, false));
  printf("%ld wrong inside\n", g_wrong_inside);
  printf("a handler with a full mask: %ld wrong after it\n", run(look, true));
  printf("%ld wrong inside\n", g_wrong_inside);
}
