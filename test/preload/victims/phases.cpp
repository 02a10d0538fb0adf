// SPDX-License-Identifier: Apache-2.0
// Works in a steady rhythm for SECONDS: a piece of fixed work (about 1 ms), then a short sleep, in a function
// for each third of the time, and notes how long the slowest pieces took. The case kills or stops the agent
// meanwhile. A piece is so many instructions, not so much CPU time: what ticks take from it makes it longer.
#include <algorithm>
#include <vector>

#include "test/preload/victims/victim.h"

namespace {

std::vector<int64_t> g_pieces_ns;

void piece() {
  const int64_t start = victim::clock_ns(CLOCK_MONOTONIC);
  uint64_t seed = 1;
  for (int i = 0; i < 10; ++i) seed = victim::spin(seed);
  asm volatile("" ::"r"(seed));
  g_pieces_ns.push_back(victim::clock_ns(CLOCK_MONOTONIC) - start);
  usleep(500);
}

void run_until(int64_t end_ns) {
  while (victim::clock_ns(CLOCK_MONOTONIC) < end_ns) piece();
}

// The comments in the assembly keep the compiler from merging the three into one.
VICTIM_NOINLINE void first_phase(int64_t end_ns) {
  run_until(end_ns);
  asm volatile("# first");
}

VICTIM_NOINLINE void second_phase(int64_t end_ns) {
  run_until(end_ns);
  asm volatile("# second");
}

VICTIM_NOINLINE void third_phase(int64_t end_ns) {
  run_until(end_ns);
  asm volatile("# third");
}

}  // namespace

int main(int argc, char** argv) {
  g_pieces_ns.reserve(1'000'000);
  const int64_t third_ns = (argc > 1 ? atoi(argv[1]) : 9) * 1'000'000'000LL / 3;
  const int64_t start_ns = victim::clock_ns(CLOCK_MONOTONIC);
  first_phase(start_ns + third_ns);
  second_phase(start_ns + 2 * third_ns);
  const int64_t cpu_ns = victim::process_cpu_ns();
  third_phase(start_ns + 3 * third_ns);
  victim::note_fact("third_cpu_ns", victim::process_cpu_ns() - cpu_ns);
  std::sort(g_pieces_ns.begin(), g_pieces_ns.end());
  victim::note_fact("median_piece_ns", g_pieces_ns[g_pieces_ns.size() / 2]);
  victim::note_fact("p999_piece_ns", g_pieces_ns[g_pieces_ns.size() - 1 - g_pieces_ns.size() / 1000]);
  victim::note_fact("slowest_piece_ns", g_pieces_ns.back());
  puts("steady");
}
