// SPDX-License-Identifier: Apache-2.0
// A process that orphans come to, with memory of its own, execs itself and then sees no child and no SIGCHLD:
// it has none, whatever happens to the agent meanwhile. It became a subreaper before anybody could look.
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "test/preload/victims/victim.h"

namespace {

constexpr size_t kMemoryBytes = 96 << 20;
volatile sig_atomic_t g_signals = 0;

void on_child(int) {
  g_signals = g_signals + 1;
}

// Past every wrapper.
void become_subreaper() {
  long result;
  register long zero asm("r10") = 0;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(SYS_prctl), "D"(PR_SET_CHILD_SUBREAPER), "S"(1), "d"(0), "r"(zero)
               : "rcx", "r11", "memory");
  victim::require(result == 0, "prctl");
}

void touch_memory(char* memory, int value) {
  memset(memory, value, kMemoryBytes);
  asm volatile("" ::"r"(memory) : "memory");
}

}  // namespace

int main(int argc, char** argv) {
  struct sigaction action {};
  action.sa_handler = on_child;
  sigaction(SIGCHLD, &action, nullptr);
  if (argc < 2 || strcmp(argv[1], "executed") != 0) {
    if (getpid() != 1) become_subreaper();
    auto* memory = static_cast<char*>(malloc(kMemoryBytes));
    victim::require(memory != nullptr, "malloc");
    touch_memory(memory, 1);
    victim::burn_ms(argc > 1 ? 700 : 300);
    touch_memory(memory, 2);  // from here on there are two copies if somebody kept one
    victim::note_fact("written", 1);
    victim::burn_ms(argc > 1 ? 1000 : 100);
    execl(argv[0], argv[0], "executed", nullptr);
    victim::give_up("exec");
  }
  victim::note_fact("executed", 1);
  victim::burn_ms(3000);
  const pid_t got = waitpid(-1, nullptr, WNOHANG);
  printf("%d SIGCHLD, wait(-1) %s\n", static_cast<int>(g_signals),
         got < 0 ? strerror(errno) : "gives a child");
}
