// SPDX-License-Identifier: Apache-2.0
// A program with a known answer: THREADS threads spend 70 % of their time in hot() and 30 % in warm(), 25
// frames deep. "blocked": every thread blocks all signals, and checks what it reads back.
// argv: milliseconds a thread, threads, "open" or "blocked". Notes what each function really used.
#include <pthread.h>
#include <csignal>
#include <cstring>
#include <thread>
#include <vector>

#include "test/preload/victims/victim.h"

namespace {

struct Used {
  int64_t hot_ns = 0, warm_ns = 0;
};

// The two get the same arithmetic, so that nothing but their names can tell them apart.
VICTIM_NOINLINE uint64_t hot(uint64_t seed, int spins) {
  for (int i = 0; i < spins; ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    asm volatile("" : "+r"(seed));
  }
  return seed;
}

VICTIM_NOINLINE uint64_t warm(uint64_t seed, int spins) {
  for (int i = 0; i < spins; ++i) {
    seed = seed * 2862933555777941757u + 3037000493u;
    asm volatile("" : "+r"(seed));
  }
  return seed;
}

// One round is 1 to 3 ms, of random length, so that ticks can't keep step with it.
VICTIM_NOINLINE void rounds(int ms, Used* used) {
  uint64_t seed = static_cast<uint64_t>(getpid()) * 77 + 1;
  const int64_t start_ns = victim::thread_cpu_ns();
  for (int64_t now_ns = start_ns; now_ns < start_ns + int64_t{ms} * 1'000'000;) {
    const int spins = 50'000 + static_cast<int>(seed >> 47);
    seed = hot(seed, spins * 7);
    const int64_t between_ns = victim::thread_cpu_ns();
    seed = warm(seed, spins * 3);
    const int64_t end_ns = victim::thread_cpu_ns();
    used->hot_ns += between_ns - now_ns;
    used->warm_ns += end_ns - between_ns;
    now_ns = end_ns;
  }
}

template <int kLeft>
VICTIM_NOINLINE void level(int ms, Used* used) {
  if constexpr (kLeft == 1)
    rounds(ms, used);
  else
    level<kLeft - 1>(ms, used);
  asm volatile("");  // no tail call: every level keeps its frame
}

void* burn(void* argument) {
  const auto* settings = static_cast<const std::pair<int, bool>*>(argument);
  sigset_t all, seen;
  sigfillset(&all);
  if (settings->second) pthread_sigmask(SIG_SETMASK, &all, nullptr);
  Used used;
  level<25>(settings->first, &used);
  pthread_sigmask(SIG_SETMASK, nullptr, &seen);
  int blocked = 0;
  for (int signal = 1; signal < SIGRTMAX; ++signal) blocked += sigismember(&seen, signal);
  printf("%s\n",
         (blocked > 0) == settings->second && (blocked == 0 || blocked >= 58) ? "mask kept" : "mask changed");
  victim::note_fact("hot_ns", used.hot_ns);
  victim::note_fact("warm_ns", used.warm_ns);
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  std::pair<int, bool> settings(argc > 1 ? atoi(argv[1]) : 2000, argc > 3 && strcmp(argv[3], "blocked") == 0);
  const int threads = argc > 2 ? atoi(argv[2]) : 2;
  std::vector<pthread_t> others(threads - 1);
  for (pthread_t& other : others) pthread_create(&other, nullptr, burn, &settings);
  burn(&settings);
  for (pthread_t other : others) pthread_join(other, nullptr);
  victim::note_fact("cpu_ns", victim::process_cpu_ns());
}
