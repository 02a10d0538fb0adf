// SPDX-License-Identifier: Apache-2.0
// Claims SIGPROF and gives it back 1 000 times, while two workers are sampled and a third thread makes short
// ones: whoever samples by that signal has to move all of its timers under way, and a late one must not kill.
#include <atomic>
#include <csignal>
#include <thread>

#include "test/preload/victims/victim.h"

namespace {

std::atomic<bool> g_done{false};
std::atomic<long> g_foreign{0};

VICTIM_NOINLINE void work() {
  victim::burn_ms(1000);
  asm volatile("");
}

void make_threads() {
  while (!g_done.load()) {
    std::thread([] { victim::burn_ms(1); }).join();
    usleep(500);
  }
}

void on_signal(int) {
  ++g_foreign;
}

}  // namespace

int main() {
  std::thread first(work), second(work), maker(make_threads);
  struct sigaction mine {};
  struct sigaction none {};
  struct sigaction seen {};
  mine.sa_handler = on_signal;
  none.sa_handler = SIG_DFL;
  int wrong = 0;
  for (int i = 0; i < 1000; ++i) {
    sigaction(SIGPROF, &mine, &seen);
    wrong += seen.sa_handler != SIG_DFL;
    usleep(300);
    sigaction(SIGPROF, &none, &seen);
    wrong += seen.sa_handler != on_signal;
    usleep(300);
  }
  first.join();
  second.join();
  g_done = true;
  maker.join();
  victim::note_fact("cpu_ns", victim::process_cpu_ns());
  printf("%d wrong answers, %ld signals that were not mine\n", wrong, g_foreign.load());
}
