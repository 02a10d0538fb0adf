// SPDX-License-Identifier: Apache-2.0
// What every call that waits for another thread answers: semaphores, conditions, joins, barriers, and what
// C++ builds upon them and upon locks.
#include <pthread.h>
#include <semaphore.h>
#include <threads.h>

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>

#include "test/preload/victims/answers.h"

using namespace answers;

namespace {

void do_nothing(int) {}

void semaphores() {
  sem_t storage;
  sem_t* semaphore = &storage;
  sem_init(semaphore, 0, 3);
  cell("wait", [=] { return sem_wait(semaphore); });
  cell("timed", [=] {
    const timespec time = soon();
    return sem_timedwait(semaphore, &time);
  });
  cell("clock", [=] {
    const timespec time = soon(CLOCK_MONOTONIC);
    return sem_clockwait(semaphore, CLOCK_MONOTONIC, &time);
  });
  cell("empty_timed", [=] {
    const timespec time = soon();
    return sem_timedwait(semaphore, &time);
  });
  cell("empty_clock", [=] {
    const timespec time = soon(CLOCK_MONOTONIC);
    return sem_clockwait(semaphore, CLOCK_MONOTONIC, &time);
  });
  cell("empty_invalid", [=] {
    const timespec time = invalid();
    return sem_timedwait(semaphore, &time);
  });
  cell("empty_no_clock", [=] {
    const timespec time = soon();
    return sem_clockwait(semaphore, 77, &time);
  });
  sem_post(semaphore);
  cell("invalid", [=] {
    const timespec time = invalid();
    return sem_timedwait(semaphore, &time);
  });
  sem_post(semaphore);
  cell("no_clock", [=] {
    const timespec time = soon();
    return sem_clockwait(semaphore, 77, &time);
  });
  while (sem_trywait(semaphore) == 0) continue;
  std::thread poster([=] {
    const timespec time{0, kSoonNs};
    nanosleep(&time, nullptr);
    sem_post(semaphore);
  });
  cell("waited", [=] { return sem_wait(semaphore); });
  poster.join();
  struct sigaction action {};
  action.sa_handler = do_nothing;  // without SA_RESTART
  sigaction(SIGUSR1, &action, nullptr);
  const pthread_t self = pthread_self();
  std::thread interrupter([=] {
    const timespec time{0, 4 * kSoonNs};
    nanosleep(&time, nullptr);
    pthread_kill(self, SIGUSR1);
  });
  cell("interrupted", [=] { return sem_wait(semaphore); });
  interrupter.join();
  print_row("semaphore");
}

void conditions() {
  pthread_mutex_t mutex;
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(&mutex, &attributes);
  pthread_cond_t storage = PTHREAD_COND_INITIALIZER;
  pthread_cond_t* condition = &storage;
  pthread_mutex_t* lock = &mutex;
  cell("not_owned", [=] {
    const timespec time = soon();
    return pthread_cond_timedwait(condition, lock, &time);
  });
  pthread_mutex_lock(lock);
  cell("timed", [=] {
    const timespec time = soon();
    return pthread_cond_timedwait(condition, lock, &time);
  });
  cell("clock", [=] {
    const timespec time = soon(CLOCK_MONOTONIC);
    return pthread_cond_clockwait(condition, lock, CLOCK_MONOTONIC, &time);
  });
  cell("invalid", [=] {
    const timespec time = invalid();
    return pthread_cond_timedwait(condition, lock, &time);
  });
  cell("no_clock", [=] {
    const timespec time = soon();
    return pthread_cond_clockwait(condition, lock, 77, &time);
  });
  std::thread signaller([=] {
    pthread_mutex_lock(lock);
    pthread_cond_broadcast(condition);
    pthread_mutex_unlock(lock);
  });
  cell("wait", [=] { return pthread_cond_wait(condition, lock); });
  cell("unlock", [=] { return pthread_mutex_unlock(lock); });
  signaller.join();
  print_row("condition");
}

int g_result;

void* sleep_a_while(void* result) {
  const timespec time{0, 4 * kSoonNs};
  nanosleep(&time, nullptr);
  return result;
}

void joins() {
  pthread_t thread;
  void* result = nullptr;
  pthread_create(&thread, nullptr, sleep_a_while, &g_result);
  cell("try", [&] { return pthread_tryjoin_np(thread, &result); });
  cell("past", [&] {
    const timespec time = at(CLOCK_REALTIME, -1);
    return pthread_timedjoin_np(thread, &result, &time);
  });
  cell("invalid", [&] {
    const timespec time = invalid();
    return pthread_timedjoin_np(thread, &result, &time);
  });
  cell("no_clock", [&] {
    const timespec time = soon();
    return pthread_clockjoin_np(thread, &result, 77, &time);
  });
  cell("join", [&] { return pthread_join(thread, &result); });
  g_row += result == &g_result ? " its result" : " another result";
  cell("self", [&] { return pthread_join(pthread_self(), &result); });
  pthread_create(&thread, nullptr, sleep_a_while, &g_result);
  cell("clock", [&] {
    const timespec time = at(CLOCK_MONOTONIC, 5'000'000'000);
    return pthread_clockjoin_np(thread, &result, CLOCK_MONOTONIC, &time);
  });
  pthread_create(&thread, nullptr, sleep_a_while, &g_result);
  cell("timed", [&] {
    const timespec time = at(CLOCK_REALTIME, 5'000'000'000);
    return pthread_timedjoin_np(thread, nullptr, &time);
  });
  thrd_t other;
  int number = 0;
  thrd_create(
      &other, [](void*) { return 42; }, nullptr);
  cell("thrd", [&] { return thrd_join(other, &number); });
  g_row += " " + std::to_string(number);
  print_row("join");
}

void barriers() {
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, nullptr, 3);
  std::atomic<int> serial{0};
  std::atomic<int> others{0};
  const auto meet = [&] {
    ++(pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD ? serial : others);
  };
  for (int i = 0; i < 50; ++i) {
    std::thread one(meet);
    std::thread two(meet);
    meet();
    one.join();
    two.join();
  }
  g_row += " serial=" + std::to_string(serial) + " others=" + std::to_string(others);
  print_row("barrier");
}

int guarded() {
  static const int value = [] {
    const timespec time{0, kSoonNs};
    nanosleep(&time, nullptr);
    return 42;
  }();
  return value;
}

// What C++ builds upon them.
void cpp() {
  std::once_flag once;
  std::atomic<int> calls{0};
  std::atomic<int> sum{0};
  std::shared_timed_mutex shared;
  std::recursive_mutex recursive;
  std::condition_variable_any any;
  std::mutex mutex;
  bool go = false;
  const auto work = [&] {
    std::call_once(once, [&] { ++calls; });
    sum += guarded();
    {
      std::unique_lock lock(mutex);
      any.wait(lock, [&] { return go; });
    }
    for (int i = 0; i < 1000; ++i) {
      const std::lock_guard outer(recursive);
      const std::lock_guard inner(recursive);
      if (i % 10 == 0) {
        const std::unique_lock writes(shared);
        ++sum;
      } else {
        const std::shared_lock reads(shared);
      }
    }
  };
  std::thread threads[4];
  for (std::thread& thread : threads) thread = std::thread(work);
  {
    const std::lock_guard lock(mutex);
    go = true;
  }
  any.notify_all();
  for (std::thread& thread : threads) thread.join();
  const bool taken = shared.try_lock_for(std::chrono::milliseconds(1));
  std::thread([&] {
    g_row += shared.try_lock_shared_for(std::chrono::milliseconds(2)) ? " got" : " timed_out";
  }).join();
  if (taken) shared.unlock();
  g_row += " calls=" + std::to_string(calls) + " sum=" + std::to_string(sum);
  print_row("C++");
}

}  // namespace

int main() {
  semaphores();
  conditions();
  joins();
  barriers();
  cpp();
  return 0;
}
