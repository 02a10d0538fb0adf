// SPDX-License-Identifier: Apache-2.0
// Threads with an alternate stack for signals whose stack pointer is where nothing can be read: in the guard
// page, as with a frame too large for what is left and not touched yet, and right below a guard page within
// the thread's stack, as with a fiber whose stack was cut out of it. Without siprof none of it is a fault.
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "test/preload/victims/victim.h"

namespace {

constexpr size_t kPage = 4096, kStackBytes = 256 * 1024, kHole = 8 * kPage;

void use_alternate_stack() {
  stack_t stack{};
  stack.ss_size = 64 * 1024;
  stack.ss_sp = malloc(stack.ss_size);
  victim::require(sigaltstack(&stack, nullptr) == 0, "sigaltstack");
}

// Counts down, some tens of milliseconds, with these for the stack and the frame pointer.
VICTIM_NOINLINE void burn_at(void* sp, void* fp) {
  long rounds = 60'000'000;
  asm volatile(
      "push %%rbp\n\t"
      "mov %%rsp, %%r12\n\t"
      "mov %[sp], %%rsp\n\t"
      "mov %[fp], %%rbp\n"
      "1:\n\t"
      "dec %[rounds]\n\t"
      "jnz 1b\n\t"
      "mov %%r12, %%rsp\n\t"
      "pop %%rbp"
      : [rounds] "+r"(rounds)
      : [sp] "r"(sp), [fp] "r"(fp)
      : "r12", "memory", "cc");
}

void* on_thread(void* memory) {
  auto* low = static_cast<char*>(memory);
  use_alternate_stack();
  victim::burn_ms(40);
  burn_at(low + 100, nullptr);
  burn_at(low + kPage, low + 8);
  burn_at(low + kHole - 256, nullptr);
  burn_at(low + kHole - kPage, low + kHole - 8);
  burn_at(low + kHole + 64, low + kHole + 128);
  victim::burn_ms(20);
  return nullptr;
}

void with_holes() {
  void* memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  victim::require(memory != MAP_FAILED, "mmap");
  auto* low = static_cast<char*>(memory);
  victim::require(mprotect(low, kPage, PROT_NONE) == 0, "mprotect");
  victim::require(mprotect(low + kHole, kPage, PROT_NONE) == 0, "mprotect");
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, memory, kStackBytes);
  pthread_t thread;
  victim::require(pthread_create(&thread, &attributes, on_thread, memory) == 0, "pthread_create");
  pthread_join(thread, nullptr);
}

// Beyond what the first stack may ever have.
void beyond_the_limit() {
  const rlimit small{256 << 10, 256 << 10};
  victim::require(setrlimit(RLIMIT_STACK, &small) == 0, "setrlimit");
  char here;
  burn_at(&here - (1 << 20), nullptr);
  burn_at(&here - (100 << 20), &here);
}

}  // namespace

int main() {
  use_alternate_stack();
  victim::burn_ms(40);
  with_holes();
  beyond_the_limit();
  puts("came back from everywhere");
}
