// SPDX-License-Identifier: Apache-2.0
// 300 threads under a limit of 64 queued signals: the app's own timers must still be had, and a queued
// signal still be queued. Prints what it got; the limit is per user, so the case runs it as a user of its
// own.
#include <sys/resource.h>
#include <csignal>
#include <thread>
#include <vector>

#include "test/preload/victims/victim.h"

int main() {
  const rlimit tight{64, 64};
  victim::require(setrlimit(RLIMIT_SIGPENDING, &tight) == 0, "setrlimit");
  std::vector<std::thread> threads;
  for (int i = 0; i < 300; ++i) threads.emplace_back(victim::burn_ms, 3);
  victim::burn_ms(100);
  for (std::thread& thread : threads) thread.join();

  int made = 0;
  for (int i = 0; i < 40; ++i) {
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR1;
    timer_t timer;
    made += timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;
  }
  printf("%d timers of my own\n", made);
  sigset_t user;
  sigemptyset(&user);
  sigaddset(&user, SIGRTMIN);
  sigprocmask(SIG_BLOCK, &user, nullptr);
  printf("sigqueue: %d\n", sigqueue(getpid(), SIGRTMIN, sigval{1}));
}
