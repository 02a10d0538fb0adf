// SPDX-License-Identifier: Apache-2.0
// Burns MS milliseconds in one function and then ends in the way named first: nothing that was sampled may
// be lost, whichever way it is. CPU time is read by the case from wait4 (and noted here before the end).
#include <pthread.h>
#include <csignal>
#include <cstring>

#include "test/preload/victims/victim.h"

VICTIM_NOINLINE static void work_before_end(int ms) {
  victim::burn_ms(ms);
  asm volatile("");
}

static void* exit_from_thread(void*) {
  exit(4);
}

int main(int argc, char** argv) {
  const char* way = argc > 1 ? argv[1] : "exit";
  work_before_end(argc > 2 ? atoi(argv[2]) : 1000);
  victim::note_fact("cpu_ns", victim::process_cpu_ns());
  if (strcmp(way, "exit") == 0) exit(3);
  if (strcmp(way, "_exit") == 0) _exit(3);
  if (strcmp(way, "quick_exit") == 0) quick_exit(3);
  if (strcmp(way, "abort") == 0) abort();
  if (strcmp(way, "segv") == 0) *static_cast<volatile int*>(nullptr) = 1;
  if (strcmp(way, "kill") == 0) kill(getpid(), SIGKILL);
  if (strcmp(way, "term") == 0) raise(SIGTERM);
  if (strcmp(way, "exec") == 0) execl("/bin/true", "true", nullptr);
  if (strcmp(way, "thread_exit") == 0) {
    pthread_t thread;
    pthread_create(&thread, nullptr, exit_from_thread, nullptr);
    pthread_join(thread, nullptr);
  }
  if (strcmp(way, "pthread_exit") == 0) pthread_exit(nullptr);
  return 5;
}
