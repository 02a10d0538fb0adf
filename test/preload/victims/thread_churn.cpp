// SPDX-License-Identifier: Apache-2.0
// Starts and ends N threads, AT_ONCE of them living at a time, some of which die young and some after a tick
// or two. What a thread leaves behind (a timer, memory) would pile up: prints what is left, counted by the
// kernel. argv: N, AT_ONCE.
#include <pthread.h>
#include <cstring>
#include <thread>
#include <vector>

#include "test/preload/victims/victim.h"

namespace {

int timers_of_process() {
  FILE* file = fopen("/proc/self/timers", "r");
  if (file == nullptr) return -1;
  int timers = 0;
  char line[256];
  while (fgets(line, sizeof line, file) != nullptr) timers += strncmp(line, "ID:", 3) == 0;
  fclose(file);
  return timers;
}

long resident_kib() {
  FILE* file = fopen("/proc/self/statm", "r");
  long size = 0, resident = 0;
  if (file == nullptr || fscanf(file, "%ld %ld", &size, &resident) != 2) victim::give_up("statm");
  fclose(file);
  return resident * 4;
}

void churn(int threads, int at_once) {
  pthread_barrier_t all_live;
  pthread_barrier_init(&all_live, nullptr, at_once);
  for (int done = 0; done < threads; done += at_once) {
    std::vector<std::thread> few;
    for (int i = 0; i < at_once; ++i) {
      few.emplace_back([i, &all_live] {
        pthread_barrier_wait(&all_live);
        victim::burn_ms(i == 0 ? 5 : 0);
      });
    }
    for (std::thread& thread : few) thread.join();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? atoi(argv[1]) : 4000;
  const int at_once = argc > 2 ? atoi(argv[2]) : 8;
  churn(threads / 10, at_once);
  const long early_kib = resident_kib();
  churn(threads - threads / 10, at_once);
  victim::note_fact("timers", timers_of_process());
  victim::note_fact("growth_kib", resident_kib() - early_kib);
  timer_t own;
  printf("a timer of my own: %s\n", timer_create(CLOCK_MONOTONIC, nullptr, &own) == 0 ? "yes" : "no");
}
