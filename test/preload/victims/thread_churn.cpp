// SPDX-License-Identifier: Apache-2.0
// Starts and ends N threads, a few at a time, some of which die young and some after a tick or two. What a
// thread leaves behind (a timer, memory) would pile up: prints what is left, counted by the kernel.
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

void churn(int threads) {
  for (int done = 0; done < threads; done += 8) {
    std::vector<std::thread> few;
    for (int i = 0; i < 8; ++i) few.emplace_back([i] { victim::burn_ms(i == 0 ? 5 : 0); });
    for (std::thread& thread : few) thread.join();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? atoi(argv[1]) : 4000;
  churn(threads / 10);
  const long early_kib = resident_kib();
  churn(threads - threads / 10);
  victim::note_fact("timers", timers_of_process());
  victim::note_fact("growth_kib", resident_kib() - early_kib);
  timer_t own;
  printf("a timer of my own: %s\n", timer_create(CLOCK_MONOTONIC, nullptr, &own) == 0 ? "yes" : "no");
}
