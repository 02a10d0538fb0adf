// SPDX-License-Identifier: Apache-2.0
// What every victim needs: to burn CPU time that a profile can be held against, to note facts that must not
// go to its output (which is compared byte by byte), and to stop with one line when its own set-up fails.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#define VICTIM_NOINLINE __attribute__((noinline, noclone))

namespace victim {

inline int64_t clock_ns(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

inline int64_t thread_cpu_ns() {
  return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

// About 0.1 ms of arithmetic: no system call, no memory, nothing that a wrapper could see.
VICTIM_NOINLINE inline uint64_t spin(uint64_t seed) {
  for (int i = 0; i < 30'000; ++i) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    asm volatile("" : "+r"(seed));
  }
  return seed;
}

// Uses `ms` of this thread's CPU time.
VICTIM_NOINLINE inline void burn_ms(int ms) {
  uint64_t seed = 88172645463325252u;
  const int64_t end = thread_cpu_ns() + int64_t{ms} * 1'000'000;
  while (thread_cpu_ns() < end) seed = spin(seed);
  asm volatile("" ::"r"(seed));
}

// Appends "key value" for the case to read. One write, so that threads and processes may share the file.
inline void note_fact(const char* key, int64_t value) {
  const char* path = getenv("VICTIM_FACTS");
  if (path == nullptr) return;
  char line[128];
  const int size = snprintf(line, sizeof line, "%s %lld\n", key, static_cast<long long>(value));
  const int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0 || write(fd, line, size) != size) perror("victim: cannot note a fact");
  if (fd >= 0) close(fd);
}

inline int64_t process_cpu_ns(int who = RUSAGE_SELF) {
  rusage used;
  getrusage(who, &used);
  return (int64_t{used.ru_utime.tv_sec} + used.ru_stime.tv_sec) * 1'000'000'000 +
         (int64_t{used.ru_utime.tv_usec} + used.ru_stime.tv_usec) * 1'000;
}

// The victim could not even set the scene: status 99 and a line, so that it can't be taken for siprof's
// fault.
[[noreturn]] inline void give_up(const char* what) {
  perror(what);
  _exit(99);
}

inline void require(bool done, const char* what) {
  if (!done) give_up(what);
}

}  // namespace victim
