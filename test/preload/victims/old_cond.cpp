// SPDX-License-Identifier: Apache-2.0
// Conditions of both of libc's versions in one program: binaries of before 2003 are bound to GLIBC_2.2.5,
// whose pthread_cond_t is a pointer to the real one. Two threads take turns by each, and each times out as it
// should.
#include <pthread.h>

#include <cerrno>
#include <thread>

#include "test/preload/victims/victim.h"

extern "C" {
int old_init(pthread_cond_t*, const pthread_condattr_t*);
int old_wait(pthread_cond_t*, pthread_mutex_t*);
int old_timedwait(pthread_cond_t*, pthread_mutex_t*, const timespec*);
int old_signal(pthread_cond_t*);
}
asm(".symver old_init, pthread_cond_init@GLIBC_2.2.5");
asm(".symver old_wait, pthread_cond_wait@GLIBC_2.2.5");
asm(".symver old_timedwait, pthread_cond_timedwait@GLIBC_2.2.5");
asm(".symver old_signal, pthread_cond_signal@GLIBC_2.2.5");

namespace {

struct Calls {
  const char* name;
  int (*init)(pthread_cond_t*, const pthread_condattr_t*);
  int (*wait)(pthread_cond_t*, pthread_mutex_t*);
  int (*timedwait)(pthread_cond_t*, pthread_mutex_t*, const timespec*);
  int (*signal)(pthread_cond_t*);
};

// 8 bytes of an old condition are its; what lies behind must stay as it is.
struct Guarded {
  pthread_cond_t condition;
  long guard = 4711;
};

VICTIM_NOINLINE void take_turns(const Calls& calls) {
  constexpr int kTurns = 4000;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  Guarded guarded;
  calls.init(&guarded.condition, nullptr);
  int turn = 0;
  const auto play = [&](int side) {
    pthread_mutex_lock(&mutex);
    while (turn < kTurns) {
      while (turn < kTurns && turn % 2 != side) calls.wait(&guarded.condition, &mutex);
      ++turn;
      calls.signal(&guarded.condition);
    }
    pthread_mutex_unlock(&mutex);
  };
  std::thread other(play, 1);
  play(0);
  other.join();
  pthread_mutex_lock(&mutex);
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  const int64_t begin = victim::clock_ns(CLOCK_MONOTONIC);
  time.tv_sec += 1;
  const int result = calls.timedwait(&guarded.condition, &mutex, &time);
  const int64_t ms = (victim::clock_ns(CLOCK_MONOTONIC) - begin) / 1'000'000;
  pthread_mutex_unlock(&mutex);
  printf("%s: %s, timed out %d, %s, guard %ld\n", calls.name, turn >= kTurns ? "all turns" : "stuck",
         result == ETIMEDOUT, ms >= 950 && ms < 4000 ? "after a second" : "at another time", guarded.guard);
}

}  // namespace

int main() {
  take_turns({"old", old_init, old_wait, old_timedwait, old_signal});
  take_turns({"new", pthread_cond_init, pthread_cond_wait, pthread_cond_timedwait, pthread_cond_signal});
  return 0;
}
