// SPDX-License-Identifier: Apache-2.0
// What interposing costs a call that doesn't block, in one process: libc's own function and the one that the
// program is bound to, in turn, many short runs of each. Prints a line a call:
//   NAME BARE_NS WRAPPED_NS DIFFERENCE_NS     (medians; the last one of the pairs' differences; of threads
//   the middle)
//
//   siprof record --kinds cpu,io -o DIR -- build/test/bench/io_cost [ROUNDS [THREADS]]
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

double now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

template <typename Function>
Function* find(void* library, const char* name) {
  void* found = dlsym(library, name);
  if (found == nullptr) {
    fprintf(stderr, "io_cost: no %s\n", name);
    exit(1);
  }
  return reinterpret_cast<Function*>(found);
}

template <typename Function, typename Call>
__attribute__((noinline)) double run_ns(Function* function, int calls, Call call) {
  const double begin = now_ns();
  for (int i = 0; i < calls; ++i) call(function);
  return (now_ns() - begin) / calls;
}

void* g_libc = nullptr;
int g_rounds = 1000;

struct Cost {
  const char* name;
  double bare_ns, wrapped_ns, difference_ns;
};

template <typename Function, typename Call>
Cost compare(const char* name, Function* bound, int calls, Call call) {
  auto* const bare = find<Function>(g_libc, name);
  std::vector<double> bare_ns, wrapped_ns, difference;
  for (int round = 0; round < g_rounds; ++round) {
    const bool bare_first = round % 2 == 0;
    const double first = run_ns(bare_first ? bare : bound, calls, call);
    const double second = run_ns(bare_first ? bound : bare, calls, call);
    bare_ns.push_back(bare_first ? first : second);
    wrapped_ns.push_back(bare_first ? second : first);
    difference.push_back(wrapped_ns.back() - bare_ns.back());
  }
  return {name, median(bare_ns), median(wrapped_ns), median(difference)};
}

// Of one thread, with descriptors and streams of its own.
std::vector<Cost> compare_all() {
  const int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  FILE* out = fopen("/dev/null", "w");
  FILE* in = fopen("/dev/zero", "r");
  if (zero < 0 || null < 0 || out == nullptr || in == nullptr) exit(1);
  char data[64] = {};
  // It is attached, and counts by the CPU's time stamps.
  for (const double begin = now_ns(); now_ns() - begin < 1.5e9;)
    run_ns(read, 1000, [&](auto* f) { f(zero, data, 16); });
  return {
      compare("read", read, 2000, [&](auto* f) { f(zero, data, 16); }),
      compare("write", write, 2000, [&](auto* f) { f(null, data, 16); }),
      compare("poll", poll, 2000, [](auto* f) { f(nullptr, 0, 0); }),
      compare("fwrite", fwrite, 20000, [&](auto* f) { f(data, 1, 16, out); }),
      compare("fread", fread, 20000, [&](auto* f) { f(data, 1, 16, in); }),
      compare("fputs", fputs, 20000, [&](auto* f) { f("sixteen letters.", out); }),
      compare("fgets", fgets, 20000, [&](auto* f) { f(data, 16, in); }),
      compare("fprintf", fprintf, 5000, [&](auto* f) { f(out, "%d letters\n", 12); }),
  };
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) g_rounds = atoi(argv[1]);
  const int count = argc > 2 ? atoi(argv[2]) : 1;
  g_libc = dlopen("libc.so.6", RTLD_NOW);
  if (g_libc == nullptr || g_rounds < 1 || count < 1) {
    fprintf(stderr, "usage: io_cost [ROUNDS [THREADS]]\n");
    return 2;
  }
  std::vector<std::vector<Cost>> costs(static_cast<std::size_t>(count));
  std::vector<std::thread> threads;
  for (std::vector<Cost>& mine : costs) threads.emplace_back([&mine] { mine = compare_all(); });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < costs[0].size(); ++i) {
    const auto middle = [&](double Cost::*part) {
      std::vector<double> values;
      for (const std::vector<Cost>& all : costs) values.push_back(all[i].*part);
      return median(values);
    };
    printf("%-24s %8.1f %8.1f %8.2f\n", costs[0][i].name, middle(&Cost::bare_ns), middle(&Cost::wrapped_ns),
           middle(&Cost::difference_ns));
  }
  return 0;
}
