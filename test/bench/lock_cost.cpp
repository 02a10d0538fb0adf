// SPDX-License-Identifier: Apache-2.0
// What interposing costs an uncontended lock and unlock, in one process: libc's own functions and those that
// the program is bound to, in turn, many short runs of each. Prints a line a sort of lock and number of
// threads:
//   NAME THREADS BARE_NS WRAPPED_NS DIFFERENCE_NS     (medians; the last one of the pairs' differences)
// Run by lock_cost.py, preloaded and not. Each thread has a lock of its own, 256 bytes from the next.
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <threads.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

constexpr int kPairsInRun = 20'000;

using Call = int (*)(void*);
struct Pair {
  Call lock;
  Call unlock;
};
struct alignas(256) Lock {
  union {
    pthread_mutex_t mutex;
    pthread_rwlock_t rwlock;
    mtx_t mtx;
    sem_t semaphore;
  };
};

Call find(void* library, const char* name) {
  void* found = dlsym(library, name);
  if (found == nullptr) {
    fprintf(stderr, "lock_cost: no %s\n", name);
    exit(1);
  }
  return reinterpret_cast<Call>(found);
}

double now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

__attribute__((noinline)) double run_ns(const Pair& pair, void* lock) {
  const double begin = now_ns();
  for (int i = 0; i < kPairsInRun; ++i) {
    pair.lock(lock);
    pair.unlock(lock);
  }
  return (now_ns() - begin) / kPairsInRun;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

struct Result {
  std::vector<double> bare;
  std::vector<double> wrapped;
  std::vector<double> difference;
};

Result measure(const Pair& bare, const Pair& wrapped, Lock* lock, int rounds) {
  Result result;
  for (int i = 0; i < rounds; ++i) {
    // Which comes first changes.
    const double first = run_ns(i % 2 == 0 ? bare : wrapped, lock);
    const double second = run_ns(i % 2 == 0 ? wrapped : bare, lock);
    result.bare.push_back(i % 2 == 0 ? first : second);
    result.wrapped.push_back(i % 2 == 0 ? second : first);
    result.difference.push_back(result.wrapped.back() - result.bare.back());
  }
  return result;
}

void compare(const char* name, const char* lock_name, const char* unlock_name, int threads, int rounds) {
  void* libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
  const Pair bare{find(libc, lock_name), find(libc, unlock_name)};
  const Pair wrapped{find(RTLD_DEFAULT, lock_name), find(RTLD_DEFAULT, unlock_name)};
  std::vector<Lock> locks(static_cast<std::size_t>(threads));
  std::vector<Result> results(static_cast<std::size_t>(threads));
  std::vector<std::thread> running;
  for (std::size_t i = 0; i < locks.size(); ++i) {
    memset(&locks[i], 0, sizeof locks[i]);
    if (lock_name[0] == 's') sem_init(&locks[i].semaphore, 0, 1);
    running.emplace_back([&, i] { results[i] = measure(bare, wrapped, &locks[i], rounds); });
  }
  for (std::thread& thread : running) thread.join();
  Result all;
  for (const Result& one : results) {
    all.bare.insert(all.bare.end(), one.bare.begin(), one.bare.end());
    all.wrapped.insert(all.wrapped.end(), one.wrapped.begin(), one.wrapped.end());
    all.difference.insert(all.difference.end(), one.difference.begin(), one.difference.end());
  }
  printf("%-8s %2d %8.2f %8.2f %8.2f\n", name, threads, median(all.bare), median(all.wrapped),
         median(all.difference));
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? atoi(argv[1]) : 300;
  for (const int threads : {1, 2, 8}) {
    compare("mutex", "pthread_mutex_lock", "pthread_mutex_unlock", threads, rounds);
    compare("read", "pthread_rwlock_rdlock", "pthread_rwlock_unlock", threads, rounds);
    compare("write", "pthread_rwlock_wrlock", "pthread_rwlock_unlock", threads, rounds);
    compare("mtx", "mtx_lock", "mtx_unlock", threads, rounds);
    compare("sem", "sem_wait", "sem_post", threads, rounds);
  }
  return 0;
}
