// SPDX-License-Identifier: Apache-2.0
// A fixed amount of work on two threads, 25 frames deep: hashes of a megabyte that each thread has of its
// own. argv: how many megabytes each. Prints the CPU time it used, in nanoseconds. For whole_cost.py.
#include <time.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "test/bench/deep_stack.h"

namespace {

constexpr int kLevels = 20;
constexpr std::size_t kWords = 1 << 17;

std::uint64_t hash(const std::vector<std::uint64_t>& words) {
  std::uint64_t hash = 0x9e3779b97f4a7c15;
  for (const std::uint64_t word : words) hash = (hash ^ word) * 0xff51afd7ed558ccd;
  return hash;
}

void work(int megabytes) {
  std::vector<std::uint64_t> words(kWords, 1);
  for (int i = 0; i < megabytes; ++i) {
    siprof::bench::run_deep(kLevels, [&] { words[static_cast<std::size_t>(i) % kWords] = hash(words); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int megabytes = argc > 1 ? std::atoi(argv[1]) : 1000;
  std::thread other(work, megabytes);
  work(megabytes);
  other.join();
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  std::printf("%lld\n", static_cast<long long>(used.tv_sec) * 1'000'000'000 + used.tv_nsec);
}
