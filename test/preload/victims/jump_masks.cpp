// SPDX-License-Identifier: Apache-2.0
// siglongjmp and swapcontext restore a mask; the app reads it back afterwards. The mask is set before the
// jump point, changed, and jumped back to, with ticks all along.
#include <ucontext.h>
#include <csetjmp>
#include <csignal>
#include <cstring>
#include <initializer_list>

#include "test/preload/victims/victim.h"

namespace {

sigjmp_buf g_point;
ucontext_t g_main, g_fiber;

const char* state() {
  sigset_t now;
  sigprocmask(SIG_SETMASK, nullptr, &now);
  int blocked = 0;
  for (int signal : {SIGPROF, SIGVTALRM, SIGSTKFLT, SIGPWR, SIGUSR1}) blocked += sigismember(&now, signal);
  return blocked == 5 ? "all blocked" : blocked == 0 ? "none blocked" : "some blocked";
}

void block(int how) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(how, &all, nullptr);
}

void jumps(int blocked_at_point) {
  block(blocked_at_point != 0 ? SIG_BLOCK : SIG_UNBLOCK);
  volatile int rounds = 0;
  if (sigsetjmp(g_point, 1) != 0) printf("after the jump: %s\n", state());
  if (rounds < 3) {
    rounds = rounds + 1;
    block(blocked_at_point != 0 ? SIG_UNBLOCK : SIG_BLOCK);
    victim::burn_ms(25);
    siglongjmp(g_point, 1);
  }
}

void fiber() {
  printf("in the fiber: %s\n", state());
  block(SIG_UNBLOCK);
  victim::burn_ms(25);
  printf("unblocked there: %s\n", state());
}

void fibers() {
  static char stack[65536];
  block(SIG_BLOCK);
  getcontext(&g_fiber);
  g_fiber.uc_stack.ss_sp = stack;
  g_fiber.uc_stack.ss_size = sizeof stack;
  g_fiber.uc_link = &g_main;
  makecontext(&g_fiber, fiber, 0);
  swapcontext(&g_main, &g_fiber);
  printf("back: %s\n", state());
}

}  // namespace

int main(int argc, char** argv) {
  const char* how = argc > 1 ? argv[1] : "jump";
  victim::burn_ms(50);
  if (strcmp(how, "jump") == 0) {
    jumps(0);
    jumps(1);
  } else {
    fibers();
  }
}
