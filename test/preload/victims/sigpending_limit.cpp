// SPDX-License-Identifier: Apache-2.0
// PROCESSES processes of 300 threads each under a limit of 64 queued signals. While all of those threads
// live, and were sampled, TIMERS timers of the app's own must still be had, and a queued signal still be
// queued. The limit is per user, so the case runs it as a user of its own. argv: PROCESSES, TIMERS.
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <csignal>
#include <vector>

#include "test/preload/victims/victim.h"

namespace {

constexpr int kThreads = 300;
int g_end_of_wait[2];  // closed by the first process when all may end

void* live(void*) {
  victim::burn_ms(3);
  char none;
  while (read(g_end_of_wait[0], &none, 1) > 0) continue;
  return nullptr;
}

std::vector<pthread_t> start_threads() {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 65536);
  std::vector<pthread_t> threads(kThreads);
  for (pthread_t& thread : threads)
    victim::require(pthread_create(&thread, &attributes, live, nullptr) == 0, "pthread_create");
  victim::burn_ms(100);
  return threads;
}

// One more process: says when its threads live, and goes when the first one closes the pipe.
void other_process(int ready) {
  close(g_end_of_wait[1]);
  const std::vector<pthread_t> threads = start_threads();
  victim::require(write(ready, "r", 1) == 1, "write");
  for (const pthread_t thread : threads) pthread_join(thread, nullptr);
  _exit(0);
}

void start_others(int count) {
  int ready[2];
  victim::require(pipe(ready) == 0, "pipe");
  for (int i = 0; i < count; ++i) {
    const pid_t child = fork();
    victim::require(child >= 0, "fork");
    if (child == 0) other_process(ready[1]);
  }
  char one;
  for (int i = 0; i < count; ++i) victim::require(read(ready[0], &one, 1) == 1, "read");
}

int make_timers(int wanted) {
  int made = 0;
  for (int i = 0; i < wanted; ++i) {
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR1;
    timer_t timer;
    made += timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;
  }
  return made;
}

}  // namespace

int main(int argc, char** argv) {
  const int processes = argc > 1 ? atoi(argv[1]) : 1;
  const int wanted = argc > 2 ? atoi(argv[2]) : 40;
  const rlimit tight{64, 64};
  victim::require(setrlimit(RLIMIT_SIGPENDING, &tight) == 0, "setrlimit");
  victim::require(pipe(g_end_of_wait) == 0, "pipe");
  sigset_t user;
  sigemptyset(&user);
  sigaddset(&user, SIGRTMIN);
  sigprocmask(SIG_BLOCK, &user, nullptr);  // in all threads: it is to stay queued
  start_others(processes - 1);
  const std::vector<pthread_t> threads = start_threads();

  const int made = make_timers(wanted);
  victim::note_fact("timers", made);
  printf("%d timers of my own beside %d threads\n", made, kThreads);
  printf("sigqueue: %d\n", sigqueue(getpid(), SIGRTMIN, sigval{1}));
  close(g_end_of_wait[1]);
  for (const pthread_t thread : threads) pthread_join(thread, nullptr);
  while (wait(nullptr) > 0) continue;
}
