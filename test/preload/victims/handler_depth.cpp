// SPDX-License-Identifier: Apache-2.0
// How much of the interrupted stack a tick's handler uses, beyond the kernel's own frame: a thread burns on a
// patterned stack without calling anything, and what was written below it is measured.
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>

#include "test/preload/victims/victim.h"

namespace {

constexpr size_t kStackBytes = 65536;
constexpr int kPattern = 0x5a;

// Where a handler begins that interrupts the same place: the kernel aligns its frame, so that its size
// depends on where that is.
volatile std::uint64_t g_handler_begins;
std::atomic<bool> g_burns{false};
volatile std::uint64_t g_sum;

void on_usr2(int) {
  g_handler_begins = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
}

VICTIM_NOINLINE void spin(std::uint64_t rounds) {
  for (std::uint64_t i = 0; i < rounds; ++i) g_sum = g_sum + i;
}

// Never inlined, calls nothing but spin: what is below it is the handler's.
VICTIM_NOINLINE void burn(std::uint64_t rounds) {
  g_burns = true;
  spin(rounds);
  g_burns = false;
}

std::uint64_t rounds_of_ms(int ms) {
  constexpr std::uint64_t kProbe = 5'000'000;
  const auto begin = victim::thread_cpu_ns();
  spin(kProbe);
  const auto took = victim::thread_cpu_ns() - begin;
  return kProbe * static_cast<std::uint64_t>(ms) * 1'000'000 / static_cast<std::uint64_t>(took);
}

struct Work {
  char* low;
  std::uint64_t rounds;
  long used;
};

void* run(void* argument) {
  auto& work = *static_cast<Work*>(argument);
  char here = 0;
  memset(work.low, kPattern, static_cast<size_t>(&here - work.low) - 512);
  burn(work.rounds);
  const char* lowest = work.low;
  while (*lowest == kPattern) ++lowest;
  work.used = static_cast<long>(g_handler_begins - reinterpret_cast<std::uint64_t>(lowest));
  return nullptr;
}

}  // namespace

int main() {
  struct sigaction action {};
  action.sa_handler = on_usr2;
  victim::require(sigaction(SIGUSR2, &action, nullptr) == 0, "sigaction");
  auto* memory = static_cast<char*>(
      mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0));
  victim::require(memory != MAP_FAILED, "mmap");
  Work work{memory, rounds_of_ms(600), 0};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  victim::require(pthread_attr_setstack(&attributes, memory, kStackBytes) == 0, "setstack");
  pthread_t thread;
  victim::require(pthread_create(&thread, &attributes, run, &work) == 0, "create");
  while (!g_burns) usleep(1'000);
  usleep(50'000);
  victim::require(g_burns && pthread_kill(thread, SIGUSR2) == 0, "a signal while it burns");
  pthread_join(thread, nullptr);
  printf("%ld\n", work.used);
}
