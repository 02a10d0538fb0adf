// SPDX-License-Identifier: Apache-2.0
// Locks and processes: a mutex in shared memory that parent and child take in turn, a child that dies with it
// (robust), and children that are forked while threads of the parent hold locks and wait for them.
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <thread>
#include <vector>

#include "test/preload/victims/victim.h"

namespace {

struct Shared {
  pthread_mutex_t mutex;
  pthread_mutex_t robust;
  long count;
  std::atomic<bool> taken;
};

Shared* make_shared_locks() {
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  victim::require(memory != MAP_FAILED, "mmap");
  auto* shared = static_cast<Shared*>(memory);
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(&shared->mutex, &attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&shared->robust, &attributes);
  return shared;
}

VICTIM_NOINLINE void add_in_turn(Shared* shared, int times) {
  for (int i = 0; i < times; ++i) {
    pthread_mutex_lock(&shared->mutex);
    ++shared->count;
    if (i % 100 == 0) victim::spin(1);
    pthread_mutex_unlock(&shared->mutex);
  }
}

int status_of(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

void share(Shared* shared) {
  const pid_t child = fork();
  add_in_turn(shared, 20'000);
  if (child == 0) _exit(0);
  const int status = status_of(child);
  printf("count %ld, child %d\n", shared->count, status);
}

void die_with_lock(Shared* shared) {
  const pid_t child = fork();
  if (child == 0) {
    pthread_mutex_lock(&shared->robust);
    shared->taken = true;
    usleep(20'000);
    raise(SIGKILL);
  }
  while (!shared->taken) usleep(100);
  const int result = pthread_mutex_lock(&shared->robust);
  printf("owner died %d", result == EOWNERDEAD);
  printf(", consistent %d", pthread_mutex_consistent(&shared->robust));
  printf(", unlock %d", pthread_mutex_unlock(&shared->robust));
  printf(", lock %d, child %d\n", pthread_mutex_lock(&shared->robust), status_of(child));
}

// The child has a copy of mutexes that are taken for ever; others it can use.
void fork_amid_locks() {
  pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        pthread_mutex_lock(&busy);
        usleep(200);
        pthread_mutex_unlock(&busy);
      }
    });
  }
  int failed = 0;
  for (int i = 0; i < 50; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
      std::thread other([&own] {
        for (int j = 0; j < 200; ++j) {
          pthread_mutex_lock(&own);
          pthread_mutex_unlock(&own);
        }
      });
      for (int j = 0; j < 200; ++j) {
        pthread_mutex_lock(&own);
        if (j % 50 == 0) usleep(100);
        pthread_mutex_unlock(&own);
      }
      other.join();
      _exit(0);
    }
    if (status_of(child) != 0) ++failed;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  printf("children that failed: %d\n", failed);
}

}  // namespace

int main() {
  setvbuf(stdout, nullptr, _IONBF, 0);
  Shared* shared = make_shared_locks();
  share(shared);
  die_with_lock(shared);
  fork_amid_locks();
  victim::burn_ms(100);
  return 0;
}
