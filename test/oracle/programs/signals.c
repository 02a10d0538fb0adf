// SPDX-License-Identifier: Apache-2.0
// Handlers on the thread's own stack and on an alternate one, one inside the other, and out of them by a
// jump.
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define KEEP __attribute__((noinline, noclone))

static volatile long g_sink;
static sigjmp_buf g_back;

KEEP static long work(long n) {
  volatile long kept[6] = {n, n + 1, n + 2, n + 3, n + 4, n + 5};
  return kept[n & 3] * 3 + kept[(n + 1) & 3];
}

static void on_own_stack(int number) {
  g_sink += work(number);
}

static void on_alternate_stack(int number, siginfo_t* info, void* context) {
  (void)context;
  char name[64];
  memset(name, number, sizeof name);
  g_sink += work(info->si_signo) + name[3];
  raise(SIGUSR2);  // another one from here
}

static void on_timer(int number) {
  g_sink += work(number) ^ 1;
}
static void jump_back(int number) {
  siglongjmp(g_back, number);
}

static void handle(int number, void (*handler)(int), int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(number, &action, 0);
}

KEEP static long interrupt(long n) {
  volatile char frame[80];
  frame[n & 63] = 1;
  raise(n & 1 ? SIGUSR1 : SIGUSR2);
  return frame[n & 63] + work(n);
}

KEEP static int jumped_out_of(void) {
  const int value = sigsetjmp(g_back, 1);
  if (value == 0) raise(SIGHUP);
  return value;
}

int main(void) {
  static char alternate[1 << 16];
  const stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  sigaltstack(&stack, 0);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_alternate_stack;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGUSR1, &action, 0);
  handle(SIGUSR2, on_own_stack, SA_RESTART);
  handle(SIGHUP, jump_back, SA_ONSTACK);
  handle(SIGALRM, on_timer, SA_RESTART | SA_ONSTACK);
  const struct itimerval often = {{0, 5000}, {0, 5000}};
  setitimer(ITIMER_REAL, &often, 0);
  for (long n = 0;; ++n) g_sink += interrupt(n) + (n % 4 == 0 ? jumped_out_of() : 0);
}
