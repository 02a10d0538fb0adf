// SPDX-License-Identifier: Apache-2.0
// What malloc and free cost a program together, in nanoseconds a pair: `heap_cost [THREADS [ROUNDS]]`. In
// turns by the names that programs call, which a preloaded library may have taken, and by libc's own; both
// through a pointer. Prints the medians of both and of the differences. heap_cost.py runs it.
#include <dlfcn.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <barrier>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

struct Pair {
  void* (*allocate)(std::size_t);
  void (*release)(void*);
};

constexpr int kPairs = 20'000;  // in a measurement: less than a slice of time
constexpr std::size_t kLive = 1'000;

double now_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

double same_size(Pair pair, std::vector<void*>&) {
  const double start = now_ns();
  for (int i = 0; i < kPairs; ++i) {
    void* block = pair.allocate(64);
    asm volatile("" : "+r"(block)::"memory");
    pair.release(block);
  }
  return (now_ns() - start) / kPairs;
}

double random_sizes(Pair pair, std::vector<void*>& live) {
  static thread_local std::uint64_t seed = 88172645463325252u;
  const double start = now_ns();
  for (int i = 0; i < kPairs; ++i) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    void*& place = live[(seed >> 40) % kLive];
    pair.release(place);
    place = pair.allocate(16 + (seed >> 8) % 1'000);
  }
  return (now_ns() - start) / kPairs;
}

using Work = double (*)(Pair, std::vector<void*>&);

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct Times {
  std::vector<double> by_name, by_libc, difference;
};

void measure(Work work, Pair by_name, Pair by_libc, int rounds, Times& times) {
  std::vector<void*> live(kLive);
  for (int i = 0; i < rounds; ++i) {
    const bool first = i % 2 == 0;
    const double one = work(first ? by_name : by_libc, live);
    const double other = work(first ? by_libc : by_name, live);
    times.by_name.push_back(first ? one : other);
    times.by_libc.push_back(first ? other : one);
    times.difference.push_back(times.by_name.back() - times.by_libc.back());
  }
  for (void* block : live) by_libc.release(block);
}

template <typename Function>
Function* found(const char* name) {
  void* address = dlsym(RTLD_DEFAULT, name);
  if (address == nullptr) std::abort();
  return reinterpret_cast<Function*>(address);
}

void run(const char* what, Work work, int threads, int rounds, bool pairs) {
  const Pair by_name{found<void*(std::size_t)>("malloc"), found<void(void*)>("free")};
  // Another allocator's blocks aren't libc's: then there is nothing to compare with in this process.
  const Pair by_libc =
      pairs ? Pair{found<void*(std::size_t)>("__libc_malloc"), found<void(void*)>("__libc_free")} : by_name;
  std::vector<Times> times(static_cast<std::size_t>(threads));
  std::barrier start(threads);
  std::vector<std::thread> all;
  for (Times& own : times) {
    all.emplace_back([&] {
      start.arrive_and_wait();
      measure(work, by_name, by_libc, rounds, own);
    });
  }
  for (std::thread& thread : all) thread.join();
  Times sum;
  for (Times& own : times) {
    sum.by_name.insert(sum.by_name.end(), own.by_name.begin(), own.by_name.end());
    sum.by_libc.insert(sum.by_libc.end(), own.by_libc.begin(), own.by_libc.end());
    sum.difference.insert(sum.difference.end(), own.difference.begin(), own.difference.end());
  }
  std::printf("%s %d %.2f %.2f %.2f\n", what, threads, median(sum.by_name), median(sum.by_libc),
              median(sum.difference));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 400;
  const bool pairs = std::getenv("HEAP_COST_ALONE") == nullptr;
  run("same_size", same_size, threads, rounds, pairs);
  run("random_sizes", random_sizes, threads, rounds, pairs);
}
