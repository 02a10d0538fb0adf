// SPDX-License-Identifier: Apache-2.0
// open() gives the lowest free descriptor: always 3 in a program with one thread, also while siprof attaches.
// With more threads each may see one of the first few numbers and no other.
#include <atomic>
#include <thread>
#include <vector>

#include "test/preload/victims/victim.h"

namespace {

std::atomic<long> g_wrong{0};

void open_and_close(int threads, int ms) {
  const int64_t end = victim::thread_cpu_ns() + int64_t{ms} * 1'000'000;
  while (victim::thread_cpu_ns() < end) {
    const int fd = open("/dev/null", O_RDONLY);
    if (fd < 3 || fd >= 3 + threads) g_wrong.fetch_add(1);
    close(fd);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? atoi(argv[1]) : 1;
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(open_and_close, threads, 800);
  open_and_close(threads, 800);
  for (std::thread& other : others) other.join();
  printf("%ld unexpected descriptors\n", g_wrong.load());
}
