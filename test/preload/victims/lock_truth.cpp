// SPDX-License-Identifier: Apache-2.0
// Contended waits of a known length: `lock_truth SORT HOLD_US MS`, SORT is mutex, rwlock, mtx or robust.
// One thread holds the lock for that long, in hold_red() and hold_blue() in turn, another one waits for it
// meanwhile, in wait_for_red() and wait_for_blue(), and notes by its own clock for how long.
#include <pthread.h>
#include <threads.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "test/preload/victims/victim.h"

namespace {

pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_rwlock_t g_rwlock = PTHREAD_RWLOCK_INITIALIZER;
mtx_t g_mtx;

enum class Sort { kMutex, kRwlock, kMtx };
Sort g_sort = Sort::kMutex;
int64_t g_hold_ns = 0;
std::atomic<int> g_held{-1};       // the round, while the lock is held in it
std::atomic<int> g_waiting{-1};    // before it waits
std::atomic<int> g_last{1 << 30};  // when it is known
std::atomic<int> g_waited{-1};

__attribute__((always_inline)) inline void lock() {
  if (g_sort == Sort::kMutex) pthread_mutex_lock(&g_mutex);
  if (g_sort == Sort::kRwlock) pthread_rwlock_wrlock(&g_rwlock);
  if (g_sort == Sort::kMtx) mtx_lock(&g_mtx);
}
__attribute__((always_inline)) inline void unlock() {
  if (g_sort == Sort::kMutex) pthread_mutex_unlock(&g_mutex);
  if (g_sort == Sort::kRwlock) pthread_rwlock_unlock(&g_rwlock);
  if (g_sort == Sort::kMtx) mtx_unlock(&g_mtx);
}

// What may spin for a long time lets others have the CPU.
void until(const std::atomic<int>& number, int round) {
  for (int i = 0; number.load() < round; ++i) {
    if (i > 1000) std::this_thread::yield();
  }
}

__attribute__((always_inline)) inline void hold(int round) {
  lock();
  g_held.store(round);
  until(g_waiting, round);
  const int64_t end = victim::clock_ns(CLOCK_MONOTONIC) + g_hold_ns;
  // Asleep, so that another thread has this CPU; short ones have to spin.
  while (victim::clock_ns(CLOCK_MONOTONIC) < end) {
    if (g_hold_ns < 100'000) continue;
    const timespec rest{0, static_cast<long>(g_hold_ns / 2)};
    nanosleep(&rest, nullptr);
  }
  unlock();
}
VICTIM_NOINLINE void hold_red(int round) {
  hold(round);
  asm volatile("");
}
VICTIM_NOINLINE void hold_blue(int round) {
  hold(round);
  asm volatile("" ::: "memory");
}

int64_t timed_lock() {
  const int64_t begin = victim::clock_ns(CLOCK_MONOTONIC);
  lock();
  const int64_t end = victim::clock_ns(CLOCK_MONOTONIC);
  unlock();
  return end - begin;
}
VICTIM_NOINLINE int64_t wait_for_red() {
  const int64_t ns = timed_lock();
  asm volatile("");
  return ns;
}
VICTIM_NOINLINE int64_t wait_for_blue() {
  const int64_t ns = timed_lock();
  asm volatile("" ::: "memory");
  return ns;
}

}  // namespace

int main(int argc, char** argv) {
  victim::require(argc == 4, "lock_truth SORT HOLD_US MS");
  if (strcmp(argv[1], "rwlock") == 0) g_sort = Sort::kRwlock;
  if (strcmp(argv[1], "mtx") == 0) g_sort = Sort::kMtx;
  if (strcmp(argv[1], "robust") == 0) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&g_mutex, &attributes);
  }
  mtx_init(&g_mtx, mtx_plain);
  g_hold_ns = int64_t{1000} * atoi(argv[2]);
  // For so long, whatever else runs on the machine.
  const int64_t end_ns = victim::clock_ns(CLOCK_MONOTONIC) + int64_t{1'000'000} * atoi(argv[3]);
  std::thread holder([end_ns] {
    int round = 0;
    for (; victim::clock_ns(CLOCK_MONOTONIC) < end_ns; ++round) {
      round % 2 == 0 ? hold_red(round) : hold_blue(round);
      until(g_waited, round);
    }
    g_last = round - 1;
    g_held = round;
  });
  int64_t red_ns = 0;
  int64_t blue_ns = 0;
  int round = 0;
  for (;; ++round) {
    until(g_held, round);
    if (round > g_last) break;
    g_waiting.store(round);
    (round % 2 == 0 ? red_ns : blue_ns) += round % 2 == 0 ? wait_for_red() : wait_for_blue();
    g_waited.store(round);
  }
  holder.join();
  victim::note_fact("red_ns", red_ns);
  victim::note_fact("blue_ns", blue_ns);
  victim::note_fact("rounds", round);
  puts("done");
  return 0;
}
