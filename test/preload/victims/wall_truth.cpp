// SPDX-License-Identifier: Apache-2.0
// Threads that sleep, wait for each other, run, and read a lot in the kernel; how long each was at it, they
// measure themselves and note as facts.
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#include <iterator>

#include "test/preload/victims/victim.h"

namespace {

using victim::clock_ns;
using victim::note_fact;
using victim::require;

constexpr int kMs = 1500;

void sleep_us(int us) {
  const timespec time{us / 1'000'000, us % 1'000'000 * 1'000};
  nanosleep(&time, nullptr);
}

VICTIM_NOINLINE void sleep_long() {
  for (int i = 0; i < 3; ++i) sleep_us(kMs * 1'000 / 3);
}
// Shorter than a period of the ticks.
VICTIM_NOINLINE void sleep_short() {
  for (const int64_t end = clock_ns(CLOCK_MONOTONIC) + kMs * 1'000'000; clock_ns(CLOCK_MONOTONIC) < end;)
    sleep_us(500);
}
VICTIM_NOINLINE void wait_for_condition() {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
  timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += kMs / 1'000;
  until.tv_nsec += kMs % 1'000 * 1'000'000;
  if (until.tv_nsec >= 1'000'000'000) until = {until.tv_sec + 1, until.tv_nsec - 1'000'000'000};
  pthread_mutex_lock(&mutex);
  while (pthread_cond_timedwait(&condition, &mutex, &until) == 0) continue;
  pthread_mutex_unlock(&mutex);
}
// In calls of a hundredth of a second, all of it at work: ticks come inside of them.
VICTIM_NOINLINE void read_much() {
  constexpr size_t kBytes = 64 << 20;
  void* memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  require(memory != MAP_FAILED, "mmap");
  const int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  require(zeros >= 0, "open");
  for (const int64_t end = clock_ns(CLOCK_MONOTONIC) + kMs * 1'000'000; clock_ns(CLOCK_MONOTONIC) < end;)
    require(read(zeros, memory, kBytes) == static_cast<ssize_t>(kBytes), "read");
  close(zeros);
}
VICTIM_NOINLINE void run() {
  victim::burn_ms(kMs);
  asm volatile("");  // not a jump: it has a frame
}

struct Work {
  const char* fact;
  void (*function)();
  clockid_t clock;  // a thread that runs may wait for a CPU, which nobody tells
};
constexpr Work kWork[] = {{"sleep_long_ns", sleep_long, CLOCK_MONOTONIC},
                          {"sleep_short_ns", sleep_short, CLOCK_MONOTONIC},
                          {"wait_for_condition_ns", wait_for_condition, CLOCK_MONOTONIC},
                          {"read_much_ns", read_much, CLOCK_MONOTONIC},
                          {"run_ns", run, CLOCK_THREAD_CPUTIME_ID}};

void* work(void* argument) {
  const auto& own = *static_cast<const Work*>(argument);
  const int64_t begin = clock_ns(own.clock);
  own.function();
  note_fact(own.fact, clock_ns(own.clock) - begin);
  return nullptr;
}

}  // namespace

int main() {
  victim::burn_ms(100);  // by then there is an agent
  pthread_t threads[std::size(kWork)];
  for (size_t i = 0; i < std::size(kWork); ++i)
    require(pthread_create(&threads[i], nullptr, work, const_cast<Work*>(&kWork[i])) == 0, "pthread_create");
  for (const pthread_t thread : threads) pthread_join(thread, nullptr);
  puts("waited");
}
