// SPDX-License-Identifier: Apache-2.0
// What signal(7) promises, in places where a profiler that borrows a signal may break it. One MODE each.
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <cstring>
#include <initializer_list>

#include "test/preload/victims/victim.h"

namespace {

volatile sig_atomic_t g_ticks = 0;
volatile sig_atomic_t g_inside = 0;
volatile sig_atomic_t g_nested = 0;
volatile sig_atomic_t g_on_stack = 0;
volatile bool g_stop = false;
char g_stack[1 << 16];

void count_tick(int) {
  g_ticks = g_ticks + 1;
}
void count_nested(int) {
  if (g_inside != 0) g_nested = g_nested + 1;
}
void raise_inside(int) {
  g_inside = 1;
  raise(SIGPROF);
  g_inside = 0;
}
void where_am_i(int) {
  char here;
  if (&here >= g_stack && &here < g_stack + sizeof g_stack) g_on_stack = g_on_stack + 1;
}

sigset_t only(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  return set;
}

// A child between vfork and exec resets everything, as many programs do; its parent's own timer goes on.
void vfork_actions() {
  signal(SIGPROF, count_tick);
  const pid_t child = vfork();
  if (child == 0) {
    for (int i = 1; i < 64; ++i) signal(i, SIG_DFL);
    execl("/bin/true", "true", nullptr);
    _exit(1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  const itimerval every{{0, 10'000}, {0, 10'000}};
  setitimer(ITIMER_PROF, &every, nullptr);
  victim::burn_ms(200);
  printf("child %d, the parent's handler %s\n", WEXITSTATUS(status), g_ticks > 5 ? "ran" : "did not run");
}

void vfork_masks() {
  const sigset_t profile = only(SIGPROF);
  sigprocmask(SIG_BLOCK, &profile, nullptr);
  const pid_t child = vfork();
  if (child == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execl("/bin/sh", "sh", "-c", "grep SigBlk /proc/self/status", nullptr);
    _exit(1);
  }
  waitpid(child, nullptr, 0);
  sigset_t now;
  sigprocmask(SIG_BLOCK, nullptr, &now);
  printf("SIGPROF is %s\n", sigismember(&now, SIGPROF) ? "still blocked" : "open");
}

// The smallest that a program compiled against older headers asks for, and some larger ones.
void small_stacks() {
  for (const size_t size : {2048, 3072, 4096, 8192}) {
    memset(g_stack, 0x5a, sizeof g_stack);
    const stack_t stack{g_stack + 32768, 0, size};
    if (sigaltstack(&stack, nullptr) != 0) perror("sigaltstack");
    victim::burn_ms(150);
    int spilt = 0;
    for (int i = 0; i < 32768; ++i) spilt += g_stack[i] != 0x5a;
    printf("%zu: %d bytes below it were written\n", size, spilt);
  }
}

void unblock_pending() {
  victim::burn_ms(50);
  const sigset_t profile = only(SIGPROF);
  signal(SIGVTALRM, count_tick);
  sigprocmask(SIG_BLOCK, &profile, nullptr);
  raise(SIGPROF);
  puts("raised");
  fflush(stdout);
  sigprocmask(SIG_UNBLOCK, &profile, nullptr);  // ends the process
  puts("still here");
}

void full_masks() {
  struct sigaction action {};
  action.sa_handler = raise_inside;
  sigfillset(&action.sa_mask);
  sigaction(SIGUSR1, &action, nullptr);
  action.sa_handler = count_nested;
  sigaction(SIGPROF, &action, nullptr);
  raise(SIGUSR1);
  struct sigaction now {};
  sigaction(SIGUSR1, nullptr, &now);
  printf("nested %d, mask has SIGPROF %d SIGVTALRM %d SIGPWR %d\n", static_cast<int>(g_nested),
         sigismember(&now.sa_mask, SIGPROF), sigismember(&now.sa_mask, SIGVTALRM),
         sigismember(&now.sa_mask, SIGPWR));
}

void stack_of_handler() {
  const stack_t stack{g_stack, 0, sizeof g_stack};
  sigaltstack(&stack, nullptr);
  signal(SIGPROF, where_am_i);
  raise(SIGPROF);
  printf("%d times on the alternate stack\n", static_cast<int>(g_on_stack));
}

// The daemon with a thread that waits for everything.
void wait_for_all() {
  victim::burn_ms(50);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  kill(getpid(), SIGPROF);
  usleep(1000);
  alarm(3);
  int got = 0;
  sigwait(&all, &got);
  printf("got %s\n", got == SIGPROF ? "SIGPROF" : strsignal(got));
  victim::burn_ms(50);
}

// Blocks everything and is sent the signal, which stays pending for ever: sampling goes on.
void stray() {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  victim::burn_ms(200);
  kill(getpid(), SIGPROF);
  victim::burn_ms(800);
  sigset_t pending;
  sigpending(&pending);
  printf("SIGPROF is %s\n", sigismember(&pending, SIGPROF) ? "pending" : "gone");
  victim::note_fact("cpu_ns", victim::process_cpu_ns());
}

void* raise_all_the_time(void*) {
  while (!g_stop) raise(SIGVTALRM);
  return nullptr;
}

// The signal that ticks would move to is in use, by a thread that receives it at this moment.
void busy_neighbour() {
  signal(SIGVTALRM, count_tick);
  pthread_t other;
  pthread_create(&other, nullptr, raise_all_the_time, nullptr);
  while (g_ticks < 100) usleep(100);
  signal(SIGPROF, count_tick);
  usleep(1000);
  g_stop = true;
  pthread_join(other, nullptr);
  puts("alive");
}

}  // namespace

int main(int argc, char** argv) {
  const struct {
    const char* name;
    void (*run)();
  } modes[] = {{"vfork_actions", vfork_actions},
               {"vfork_masks", vfork_masks},
               {"small_stacks", small_stacks},
               {"unblock_pending", unblock_pending},
               {"full_masks", full_masks},
               {"stack_of_handler", stack_of_handler},
               {"busy_neighbour", busy_neighbour},
               {"wait_for_all", wait_for_all},
               {"stray", stray}};
  for (const auto& mode : modes) {
    if (argc > 1 && strcmp(argv[1], mode.name) == 0) return mode.run(), 0;
  }
  fprintf(stderr, "usage: signal_contract MODE\n");
  return 2;
}
