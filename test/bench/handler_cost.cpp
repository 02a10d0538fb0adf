// SPDX-License-Identifier: Apache-2.0
// What one tick costs a thread that siprof samples, beyond the kernel's part: the program sends itself the
// very signal that its timer sends, and in between one like it that meets an empty handler. Run by
// handler_cost.py, under `siprof record`; argv: rounds.
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "test/bench/cold_memory.h"
#include "test/bench/deep_stack.h"

namespace siprof::bench {
namespace {

constexpr std::array<std::size_t, 3> kDepths = {8, 30, 100};
constexpr int kOtherFrames = 8;  // of a stack besides run_deep's levels; handler_cost.py checks the sum
constexpr int kBatch = 64;

// As the kernel takes it: siprof answers sigaction() as if its own handler weren't there.
struct KernelAction {
  void (*handler)(int, siginfo_t*, void*);
  unsigned long flags;
  void (*restorer)();
  std::uint64_t mask;
};

struct Tick {
  int signal = 0;
  siginfo_t info{};
};

KernelAction g_siprof{};
Tick g_timers{};  // what siprof's timer sends
volatile sig_atomic_t g_seen = 0;

[[noreturn]] void give_up(const char* what) {
  fprintf(stderr, "handler_cost: %s\n", what);
  exit(1);
}

void kernel_action(int signal, const KernelAction* set, KernelAction* old) {
  if (syscall(SYS_rt_sigaction, signal, set, old, sizeof set->mask) != 0) give_up("rt_sigaction failed");
}

void note_tick(int signal, siginfo_t* info, void* context) {
  if (info->si_code == SI_TIMER) {
    g_timers = {signal, *info};
    g_timers.info.si_overrun = 0;
    g_seen = 1;
  }
  g_siprof.handler(signal, info, context);
}

void nothing(int, siginfo_t*, void*) {}

void burn(double seconds) {
  const clock_t end = clock() + static_cast<clock_t>(seconds * CLOCKS_PER_SEC);
  while (clock() < end) {
  }
}

// Gives a tick of siprof's timer, and one that an empty handler gets, set up the same way.
void learn(Tick* ours, Tick* empty) {
  kernel_action(SIGPROF, nullptr, &g_siprof);
  if (reinterpret_cast<std::uintptr_t>(g_siprof.handler) < 2) give_up("no siprof here: use handler_cost.py");
  burn(2);  // it attaches, and the agent makes its tables
  KernelAction watching = g_siprof;
  watching.handler = note_tick;
  kernel_action(SIGPROF, &watching, nullptr);
  for (int i = 0; i < 100 && g_seen == 0; ++i) burn(0.05);
  kernel_action(SIGPROF, &g_siprof, nullptr);
  if (g_seen == 0) give_up("no tick came");
  *ours = g_timers;
  *empty = g_timers;
  empty->signal = SIGUSR2;
  empty->info.si_signo = SIGUSR2;
  KernelAction idle = g_siprof;
  idle.handler = nothing;
  kernel_action(SIGUSR2, &idle, nullptr);
}

// In TSC ticks, each. The signal is delivered as the system call returns.
__attribute__((noinline)) double send_ticks(Tick& tick, int count) {
  const long pid = getpid();
  const std::uint64_t begin = begin_tsc();
  for (int i = 0; i < count; ++i) {
    long result = SYS_rt_tgsigqueueinfo;
    register siginfo_t* info asm("r10") = &tick.info;
    asm volatile("syscall"
                 : "+a"(result)
                 : "D"(pid), "S"(pid), "d"(static_cast<long>(tick.signal)), "r"(info)
                 : "rcx", "r11", "memory");
    if (result != 0) give_up("rt_tgsigqueueinfo failed");
  }
  const double ticks = static_cast<double>(end_tsc() - begin);
  asm volatile("");
  return ticks / count;
}

// One measurement so many frames deep.
__attribute__((always_inline)) inline double ticks_at(std::size_t depth, Tick& tick, bool cold) {
  double ticks = 0;
  run_deep(static_cast<int>(depth) - kOtherFrames, [&] {
    if (cold) {
      evict();
      ticks = send_ticks(tick, 1);
    } else {
      send_ticks(tick, kBatch / 4);
      ticks = send_ticks(tick, kBatch);
    }
  });
  return ticks;
}

struct Row {
  std::vector<double> empty, ours, difference;

  __attribute__((always_inline)) void take(std::size_t depth, Tick& empty_tick, Tick& our_tick, bool cold) {
    const bool ours_first = ours.size() % 2 != 0;
    const double first = ticks_at(depth, ours_first ? our_tick : empty_tick, cold);
    const double second = ticks_at(depth, ours_first ? empty_tick : our_tick, cold);
    empty.push_back(ours_first ? second : first);
    ours.push_back(ours_first ? first : second);
    difference.push_back(ours.back() - empty.back());
  }
  void print(std::size_t depth, const char* caches) const {
    const auto ns = [](std::vector<double> ticks) { return median(std::move(ticks)) * ns_per_tsc(); };
    printf("%6zu  %-8s %10.0f %10.0f %10.0f\n", depth, caches, ns(empty), ns(ours), ns(difference));
  }
};

void measure(int rounds) {
  Tick ours;
  Tick empty;
  learn(&ours, &empty);
  std::array<Row, kDepths.size()> warm;
  std::array<Row, kDepths.size()> cold;
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < kDepths.size(); ++i) {
      warm[i].take(kDepths[i], empty, ours, false);
      cold[i].take(kDepths[i], empty, ours, true);
    }
    usleep(60'000);  // until the agent has made room for the next ones
  }
  printf("frames  caches   empty ns   siprof ns  difference ns (medians of %d)\n", rounds);
  for (std::size_t i = 0; i < kDepths.size(); ++i) warm[i].print(kDepths[i], "warm");
  for (std::size_t i = 0; i < kDepths.size(); ++i) cold[i].print(kDepths[i], "evicted");
}

}  // namespace
}  // namespace siprof::bench

int main(int argc, char** argv) {
  siprof::bench::measure(argc > 1 ? atoi(argv[1]) : 100);
  return 0;
}
