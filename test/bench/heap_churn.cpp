// SPDX-License-Identifier: Apache-2.0
// Allocates so many megabytes a second on each of some threads, for a time: what heap_budget.py profiles.
// argv: threads, MB/s of all together, seconds. Prints the CPU time used (ns) and the bytes allocated.
#include <sys/resource.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

std::atomic<std::uint64_t> g_bytes{0};

__attribute__((noinline)) void* allocate(std::size_t bytes) {
  void* block = malloc(bytes);
  asm volatile("" : : "r"(block) : "memory");
  return block;
}

// In steps of a millisecond; a thousand blocks of 16 to 4 111 bytes live at a time.
void churn(double bytes_per_second, Clock::time_point end) {
  std::vector<void*> live(1000);
  std::uint64_t random = reinterpret_cast<std::uintptr_t>(&live);
  const Clock::time_point begin = Clock::now();
  std::uint64_t done = 0;
  for (Clock::time_point now = begin; now < end; now = Clock::now()) {
    const double due = bytes_per_second * std::chrono::duration<double>(now - begin).count();
    while (static_cast<double>(done) < due) {
      random = random * 6364136223846793005 + 1442695040888963407;
      void*& block = live[random >> 33 & 511];
      free(block);
      const std::size_t bytes = 16 + (random >> 50 & 4095);
      block = allocate(bytes);
      done += bytes;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (void* block : live) free(block);
  g_bytes += done;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return fprintf(stderr, "usage: heap_churn THREADS MB_PER_SECOND SECONDS\n"), 2;
  const int threads = atoi(argv[1]);
  const Clock::time_point end = Clock::now() + std::chrono::seconds(atoi(argv[3]));
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) all.emplace_back(churn, atof(argv[2]) * 1e6 / threads, end);
  for (std::thread& thread : all) thread.join();
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto ns = [](const timeval& time) { return time.tv_sec * 1'000'000'000 + time.tv_usec * 1'000; };
  printf("%ld %lu\n", ns(used.ru_utime) + ns(used.ru_stime), static_cast<unsigned long>(g_bytes));
}
