// SPDX-License-Identifier: Apache-2.0
// Spends its time inside the functions that siprof wraps (masks, signal actions, threads), so that ticks
// land in the wrappers themselves.
#include <pthread.h>
#include <csignal>

#include "test/preload/victims/victim.h"

namespace {

void* nothing(void*) {
  return nullptr;
}

void on_user(int) {}

void storm(int64_t until_ns) {
  sigset_t all, old;
  sigfillset(&all);
  struct sigaction mine {};
  struct sigaction seen {};
  mine.sa_handler = on_user;
  long wrong = 0;
  while (victim::thread_cpu_ns() < until_ns) {
    pthread_sigmask(SIG_BLOCK, &all, &old);
    wrong += sigismember(&old, SIGPROF) != 0;
    pthread_sigmask(SIG_SETMASK, &old, &all);
    wrong += sigismember(&all, SIGPROF) != 1;
    sigaction(SIGUSR2, &mine, &seen);
    pthread_t thread;
    if (pthread_create(&thread, nullptr, nothing, nullptr) == 0) pthread_join(thread, nullptr);
  }
  printf("%ld wrong answers\n", wrong);
}

void* storm_thread(void*) {
  storm(1'000'000'000);
  return nullptr;
}

}  // namespace

int main() {
  pthread_t thread;
  pthread_create(&thread, nullptr, storm_thread, nullptr);
  storm(victim::thread_cpu_ns() + 1'000'000'000);
  pthread_join(thread, nullptr);
}
