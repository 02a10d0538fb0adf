// SPDX-License-Identifier: Apache-2.0
// A service under load for SECONDS (or until SIGTERM): requests of some 0.2 ms CPU with 0.2 ms of sleep
// between them, in THREADS threads: many, so that a 99.9th percentile says something. Notes its CPU time and
// how long its requests were held up.
//
// A hold-up is a request's wall time beyond what it ran and what it waited for a processor: a loaded machine
// doesn't show in it, waiting for an agent would.
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "test/preload/victims/victim.h"

namespace {

std::atomic<bool> g_stop{false};
std::mutex g_mutex;
std::vector<int64_t> g_held_up_ns;

// Nanoseconds this thread has been ready to run without running.
int64_t queued_ns(int schedstat) {
  char text[96] = {};
  if (pread(schedstat, text, sizeof text - 1, 0) <= 0) victim::give_up("schedstat");
  long long ran = 0;
  long long queued = 0;
  if (sscanf(text, "%lld %lld", &ran, &queued) != 2) victim::give_up("schedstat");
  return queued;
}

VICTIM_NOINLINE void answer_request() {
  for (int i = 0; i < 2; ++i) victim::spin(88172645463325252u);
  asm volatile("");  // no tail call: this function is to be seen in the stacks
}

void serve(int64_t until_ns) {
  const int schedstat = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  victim::require(schedstat >= 0, "schedstat");
  std::vector<int64_t> held_up_ns;
  while (!g_stop && victim::clock_ns(CLOCK_MONOTONIC) < until_ns) {
    const int64_t queued = queued_ns(schedstat);
    const int64_t ran = victim::thread_cpu_ns();
    const int64_t start = victim::clock_ns(CLOCK_MONOTONIC);
    answer_request();
    const int64_t wall = victim::clock_ns(CLOCK_MONOTONIC) - start;
    held_up_ns.push_back(wall - (victim::thread_cpu_ns() - ran) - (queued_ns(schedstat) - queued));
    const timespec pause{0, 200'000};
    nanosleep(&pause, nullptr);
  }
  close(schedstat);
  const std::lock_guard lock(g_mutex);
  g_held_up_ns.insert(g_held_up_ns.end(), held_up_ns.begin(), held_up_ns.end());
}

void note_hold_ups() {
  std::sort(g_held_up_ns.begin(), g_held_up_ns.end());
  victim::note_fact("requests", static_cast<int64_t>(g_held_up_ns.size()));
  if (g_held_up_ns.empty()) return;
  victim::note_fact("held_up_p999_ns", g_held_up_ns[g_held_up_ns.size() * 999 / 1000]);
  victim::note_fact("held_up_most_ns", g_held_up_ns.back());
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? atof(argv[1]) : 5;
  const int threads = argc > 2 ? atoi(argv[2]) : 1;
  const int exit_status = argc > 3 ? atoi(argv[3]) : 0;
  signal(SIGTERM, [](int) { g_stop = true; });
  victim::note_fact("pid", getpid());
  victim::note_fact("parent", getppid());
  const int64_t until = victim::clock_ns(CLOCK_MONOTONIC) + static_cast<int64_t>(seconds * 1e9);
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(serve, until);
  serve(until);
  for (std::thread& other : others) other.join();
  note_hold_ups();
  victim::note_fact("cpu_ns", victim::process_cpu_ns());
  puts("served");
  return exit_status;
}
