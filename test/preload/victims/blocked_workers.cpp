// SPDX-License-Identifier: Apache-2.0
// A thread pool whose workers block every signal, as many servers do: they must be profiled all the same.
#include <pthread.h>
#include <csignal>

#include "test/preload/victims/victim.h"

VICTIM_NOINLINE static void worker_burn(int ms) {
  victim::burn_ms(ms);
  asm volatile("");
}

static void* worker(void* blocked_late) {
  sigset_t all, seen;
  sigfillset(&all);
  if (blocked_late != nullptr) victim::burn_ms(100);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  worker_burn(800);
  pthread_sigmask(SIG_SETMASK, nullptr, &seen);
  return reinterpret_cast<void*>(long{sigismember(&seen, SIGPROF)} + sigismember(&seen, SIGVTALRM));
}

int main() {
  pthread_t threads[2];
  pthread_create(&threads[0], nullptr, worker, nullptr);
  pthread_create(&threads[1], nullptr, worker, &threads);
  for (pthread_t thread : threads) {
    void* blocked = nullptr;
    pthread_join(thread, &blocked);
    printf("%ld of our signals are blocked\n", reinterpret_cast<long>(blocked));
  }
  victim::note_fact("cpu_ns", victim::process_cpu_ns());
}
