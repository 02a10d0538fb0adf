// SPDX-License-Identifier: Apache-2.0
// Two workers under load and a third thread that makes short threads all the time, in five phases. A byte on
// standard input begins each of the first four; the case switches sampling off and on meanwhile: 1 000 times
// in the second phase, off for the third, on again from the fourth on. Notes what CPU time each phase used.
#include <atomic>
#include <thread>

#include "test/preload/victims/victim.h"

namespace {

std::atomic<int> g_phase{0};
std::atomic<long> g_made{0};
std::atomic<bool> g_workers_done{false};

// The comments in the assembly keep the compiler from merging the phases into one.
#define PHASE(name, number)                                \
  VICTIM_NOINLINE void name() {                            \
    while (g_phase.load() == (number)) victim::burn_ms(1); \
    asm volatile("# " #name);                              \
  }
PHASE(phase_before, 0)
PHASE(phase_storm, 1)
PHASE(phase_off, 2)

// While sampling is off a thread looks for the switch once in a second of its CPU time.
VICTIM_NOINLINE void phase_settling() {
  victim::burn_ms(1100);
  asm volatile("# phase_settling");
}

VICTIM_NOINLINE void phase_after() {
  victim::burn_ms(1000);
  asm volatile("# phase_after");
}

constexpr void (*kPhases[])() = {phase_before, phase_storm, phase_off, phase_settling, phase_after};
constexpr int kPhaseCount = sizeof(kPhases) / sizeof(kPhases[0]);
constexpr int kLastByte = 3;  // the last two phases are of a fixed length
std::atomic<int64_t> g_used_ns[kPhaseCount];

void work() {
  for (int phase = 0; phase < kPhaseCount; ++phase) {
    const int64_t start_ns = victim::thread_cpu_ns();
    kPhases[phase]();
    g_used_ns[phase] += victim::thread_cpu_ns() - start_ns;
  }
}

void make_threads() {
  while (!g_workers_done.load()) {
    std::thread([] { victim::burn_ms(1); }).join();
    ++g_made;
    usleep(500);
  }
}

int timers_of_process() {
  FILE* file = fopen("/proc/self/timers", "r");
  if (file == nullptr) return -1;
  int timers = 0;
  for (char line[256]; fgets(line, sizeof line, file) != nullptr;) timers += line[0] == 'I';
  fclose(file);
  return timers;
}

}  // namespace

int main() {
  std::thread first(work), second(work), maker(make_threads);
  char byte;
  while (g_phase.load() < kLastByte) {
    victim::require(read(STDIN_FILENO, &byte, 1) == 1, "read");
    ++g_phase;
  }
  first.join();
  second.join();
  g_workers_done = true;
  maker.join();
  for (const auto& used_ns : g_used_ns) victim::note_fact("phase_cpu_ns", used_ns);
  victim::note_fact("cpu_ns", victim::process_cpu_ns());
  victim::note_fact("threads", g_made);
  victim::note_fact("timers", timers_of_process());
  puts(g_made > 100 ? "all threads came back" : "too few threads were made");
}
