// SPDX-License-Identifier: Apache-2.0
// Threads that are cancelled in each call that waits for another thread and is a cancellation point: asleep
// in it, and with the cancellation pending before. Handlers run, destructors run, a condition's mutex is
// locked again. And: a thread that ends itself (pthread_exit) in a handler that interrupts a wait for a lock.
#include <pthread.h>
#include <semaphore.h>
#include <threads.h>

#include <atomic>
#include <csignal>
#include <string>

#include "test/preload/victims/victim.h"

namespace {

pthread_mutex_t g_mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
pthread_cond_t g_condition = PTHREAD_COND_INITIALIZER;
mtx_t g_mtx;
cnd_t g_cnd;
sem_t g_closed;
sem_t g_open;
pthread_t g_sleeper;
thrd_t g_c11_sleeper;

timespec late(clockid_t clock = CLOCK_REALTIME) {
  timespec time{};
  clock_gettime(clock, &time);
  time.tv_sec += 100;
  return time;
}

// Each in the thread that is cancelled.
void cond_wait() {
  pthread_cond_wait(&g_condition, &g_mutex);
}
void cond_timedwait() {
  const timespec time = late();
  pthread_cond_timedwait(&g_condition, &g_mutex, &time);
}
void cond_clockwait() {
  const timespec time = late(CLOCK_MONOTONIC);
  pthread_cond_clockwait(&g_condition, &g_mutex, CLOCK_MONOTONIC, &time);
}
void c11_wait() {
  cnd_wait(&g_cnd, &g_mtx);
}
void c11_timedwait() {
  const timespec time = late();
  cnd_timedwait(&g_cnd, &g_mtx, &time);
}
void sem_sleep() {
  sem_wait(&g_closed);
}
void sem_timed() {
  const timespec time = late();
  sem_timedwait(&g_closed, &time);
}
void sem_clock() {
  const timespec time = late(CLOCK_MONOTONIC);
  sem_clockwait(&g_closed, CLOCK_MONOTONIC, &time);
}
void sem_free() {
  sem_wait(&g_open);
}
void join() {
  pthread_join(g_sleeper, nullptr);
}
void join_timed() {
  const timespec time = late();
  pthread_timedjoin_np(g_sleeper, nullptr, &time);
}
void join_clock() {
  const timespec time = late(CLOCK_MONOTONIC);
  pthread_clockjoin_np(g_sleeper, nullptr, CLOCK_MONOTONIC, &time);
}
void c11_join() {
  thrd_join(g_c11_sleeper, nullptr);
}

struct Point {
  const char* name;
  void (*wait)();
  int mutex;  // 0: none, 1: g_mutex, 2: g_mtx
  bool asleep;
};

std::atomic<bool> g_ready;
std::string g_row;

struct Destroyed {
  ~Destroyed() { g_row += " destructor"; }
};

void clean_up(void* argument) {
  const auto* point = static_cast<const Point*>(argument);
  g_row += " handler";
  if (point->mutex == 1) g_row += " unlock=" + std::to_string(pthread_mutex_unlock(&g_mutex));
  if (point->mutex == 2) g_row += " unlock=" + std::to_string(mtx_unlock(&g_mtx));
}

void* run(void* argument) {
  const auto* point = static_cast<const Point*>(argument);
  if (!point->asleep) pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
  const Destroyed destroyed;
  if (point->mutex == 1) pthread_mutex_lock(&g_mutex);
  if (point->mutex == 2) mtx_lock(&g_mtx);
  pthread_cleanup_push(clean_up, argument);
  g_ready = true;
  if (!point->asleep) {
    victim::burn_ms(20);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, nullptr);
  }
  point->wait();
  g_row += " came back";
  pthread_cleanup_pop(1);
  return nullptr;
}

void cancel_in(const Point& point) {
  g_ready = false;
  g_row.clear();
  pthread_t thread;
  pthread_create(&thread, nullptr, run, const_cast<Point*>(&point));
  while (!g_ready) sched_yield();
  const timespec time{0, point.asleep ? 20'000'000 : 1};
  nanosleep(&time, nullptr);
  pthread_cancel(thread);
  void* result = nullptr;
  pthread_join(thread, &result);
  printf("%s %s:%s%s\n", point.name, point.asleep ? "asleep" : "pending", g_row.c_str(),
         result == PTHREAD_CANCELED ? " cancelled" : "");
}

void end_thread(int) {
  g_row += " ended by handler";
  pthread_exit(nullptr);
}

// Without destructors: libc says that a lock never throws.
void* lock_forever(void*) {
  g_ready = true;
  pthread_mutex_lock(&g_mutex);
  return nullptr;
}

void end_in_lock() {
  g_ready = false;
  g_row.clear();
  signal(SIGUSR1, end_thread);
  pthread_mutex_lock(&g_mutex);
  pthread_t thread;
  pthread_create(&thread, nullptr, lock_forever, nullptr);
  while (!g_ready) sched_yield();
  const timespec time{0, 20'000'000};
  nanosleep(&time, nullptr);
  pthread_kill(thread, SIGUSR1);
  pthread_join(thread, nullptr);
  printf("exit in a handler:%s, unlock %d\n", g_row.c_str(), pthread_mutex_unlock(&g_mutex));
}

void* sleep_long(void*) {
  sem_t never;
  sem_init(&never, 0, 0);
  const timespec time = late();
  sem_timedwait(&never, &time);
  return nullptr;
}

}  // namespace

int main() {
  mtx_init(&g_mtx, mtx_plain);
  cnd_init(&g_cnd);
  sem_init(&g_closed, 0, 0);
  sem_init(&g_open, 0, 100);
  pthread_create(&g_sleeper, nullptr, sleep_long, nullptr);
  thrd_create(
      &g_c11_sleeper,
      [](void*) {
        sleep_long(nullptr);
        return 0;
      },
      nullptr);
  for (const bool asleep : {true, false}) {
    const Point points[] = {
        {"pthread_cond_wait", cond_wait, 1, asleep},
        {"pthread_cond_timedwait", cond_timedwait, 1, asleep},
        {"pthread_cond_clockwait", cond_clockwait, 1, asleep},
        {"cnd_wait", c11_wait, 2, asleep},
        {"cnd_timedwait", c11_timedwait, 2, asleep},
        {"sem_wait", sem_sleep, 0, asleep},
        {"sem_timedwait", sem_timed, 0, asleep},
        {"sem_clockwait", sem_clock, 0, asleep},
        {"pthread_join", join, 0, asleep},
        {"pthread_timedjoin_np", join_timed, 0, asleep},
        {"pthread_clockjoin_np", join_clock, 0, asleep},
        {"thrd_join", c11_join, 0, asleep},
    };
    for (const Point& point : points) cancel_in(point);
  }
  cancel_in({"sem_wait of an open one", sem_free, 0, false});
  int left = 0;
  sem_getvalue(&g_open, &left);
  printf("left in it: %d\n", left);
  end_in_lock();
  return 0;
}
