// SPDX-License-Identifier: Apache-2.0
// Burns MS milliseconds of CPU in each of THREADS threads (the main one included) and says "done".
#include "test/preload/victims/victim.h"

#include <thread>
#include <vector>

int main(int argc, char** argv) {
  const int ms = argc > 1 ? atoi(argv[1]) : 200;
  const int threads = argc > 2 ? atoi(argv[2]) : 1;
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(victim::burn_ms, ms);
  victim::burn_ms(ms);
  for (std::thread& other : others) other.join();
  victim::note_fact("cpu_ns", victim::process_cpu_ns());
  puts("done");
}
