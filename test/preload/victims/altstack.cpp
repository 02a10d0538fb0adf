// SPDX-License-Identifier: Apache-2.0
// An app that handles SIGSEGV on an alternate stack, and works there for a while: its handler must run on
// that stack, see the right address, and come back; and sigaltstack must read back what was set.
#include <sys/mman.h>
#include <csetjmp>
#include <csignal>
#include <cstring>

#include "test/preload/victims/victim.h"

namespace {

alignas(64) char g_stack[16384];
volatile char* volatile g_page = nullptr;
volatile int g_on_stack = 0, g_address_right = 0;

void on_fault(int, siginfo_t* info, void*) {
  char here;
  g_on_stack = g_on_stack + (&here >= g_stack && &here < g_stack + sizeof g_stack);
  g_address_right = g_address_right + (info->si_addr == g_page);
  victim::burn_ms(40);
  mprotect(const_cast<char*>(g_page), 4096, PROT_READ | PROT_WRITE);
}

}  // namespace

int main() {
  stack_t alternate{}, seen{};
  alternate.ss_sp = g_stack;
  alternate.ss_size = sizeof g_stack;
  victim::burn_ms(60);
  sigaltstack(nullptr, &seen);
  printf("at first: %s\n", (seen.ss_flags & SS_DISABLE) != 0 ? "none" : "one that is not mine");
  sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, nullptr);
  for (int round = 0; round < 10; ++round) {
    g_page = static_cast<volatile char*>(mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    *g_page = 1;
    munmap(const_cast<char*>(g_page), 4096);
  }
  sigaltstack(nullptr, &seen);
  printf("on my stack %d, right address %d, kept %d\n", g_on_stack, g_address_right, seen.ss_sp == g_stack);
}
