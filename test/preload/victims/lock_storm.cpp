// SPDX-License-Identifier: Apache-2.0
// `lock_storm MODE MS`. convoy: eight threads and one mutex, says how often each had it. handler: a signal
// every millisecond whose handler posts the semaphore that the program waits for. jump: the handler jumps out
// of waits for a lock and for a semaphore; afterwards a wait of a known length, in wait_after_jumps().
#include <pthread.h>
#include <semaphore.h>
#include <sys/time.h>
#include <cerrno>
#include <csetjmp>

#include <atomic>
#include <csignal>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "test/preload/victims/victim.h"

namespace {

pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
sem_t g_semaphore;
sigjmp_buf g_out;
std::atomic<bool> g_may_jump;

void convoy(int ms) {
  std::atomic<bool> stop{false};
  std::vector<int64_t> counts(8);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    threads.emplace_back([&, i] {
      while (!stop) {
        pthread_mutex_lock(&g_mutex);
        for (int j = 0; j < 50; ++j) asm volatile("");
        ++counts[i];
        pthread_mutex_unlock(&g_mutex);
        for (int j = 0; j < 200; ++j) asm volatile("");
      }
    });
  }
  usleep(static_cast<useconds_t>(ms) * 1000);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  for (const int64_t count : counts) victim::note_fact("count", count);
}

void post(int) {
  const int error = errno;
  sem_post(&g_semaphore);
  errno = error;
}
void jump(int) {
  if (g_may_jump.exchange(false)) siglongjmp(g_out, 1);
}

void every_millisecond(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  const itimerval time{{0, 1000}, {0, 1000}};
  setitimer(ITIMER_REAL, &time, nullptr);
}
void no_more_signals() {
  const itimerval none{};
  setitimer(ITIMER_REAL, &none, nullptr);
}

void wait_for_handler(int ms) {
  every_millisecond(post);
  int woken = 0;
  int interrupted = 0;
  const int64_t end = victim::clock_ns(CLOCK_MONOTONIC) + int64_t{ms} * 1'000'000;
  while (victim::clock_ns(CLOCK_MONOTONIC) < end) {
    if (sem_wait(&g_semaphore) == 0)
      ++woken;
    else
      ++interrupted;
  }
  no_more_signals();
  printf("interrupted %d, woken %s\n", interrupted, woken > ms / 4 ? "often" : "rarely");
}

VICTIM_NOINLINE void wait_after_jumps() {
  std::thread holder([] {
    pthread_mutex_lock(&g_mutex);
    sem_post(&g_semaphore);
    usleep(20'000);
    pthread_mutex_unlock(&g_mutex);
  });
  sem_wait(&g_semaphore);
  pthread_mutex_lock(&g_mutex);
  pthread_mutex_unlock(&g_mutex);
  holder.join();
}

void jump_out(int ms) {
  pthread_mutex_lock(&g_mutex);
  every_millisecond(jump);
  volatile int jumps = 0;
  const int64_t end = victim::clock_ns(CLOCK_MONOTONIC) + int64_t{ms} * 1'000'000;
  while (victim::clock_ns(CLOCK_MONOTONIC) < end) {
    if (sigsetjmp(g_out, 1) == 0) {
      g_may_jump = true;
      if (jumps % 2 == 0)
        pthread_mutex_lock(&g_mutex);  // ours already: it never comes back
      else
        sem_wait(&g_semaphore);
      puts("came back");
    }
    jumps = jumps + 1;
  }
  no_more_signals();
  pthread_mutex_unlock(&g_mutex);
  for (int i = 0; i < 10; ++i) wait_after_jumps();
  printf("jumped %s\n", jumps > ms / 4 ? "often" : "rarely");
}

}  // namespace

int main(int argc, char** argv) {
  victim::require(argc == 3, "lock_storm MODE MS");
  sem_init(&g_semaphore, 0, 0);
  const int ms = atoi(argv[2]);
  if (strcmp(argv[1], "convoy") == 0) convoy(ms);
  if (strcmp(argv[1], "handler") == 0) wait_for_handler(ms);
  if (strcmp(argv[1], "jump") == 0) jump_out(ms);
  return 0;
}
