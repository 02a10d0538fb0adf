// SPDX-License-Identifier: Apache-2.0
// Sets signal masks and actions in every way and prints what it reads back, also what a new thread, an
// exec'd, a spawned and a system() child inherit. First once with no tick taken, then
// once in full swing. With an argument: while the profiling signals are ignored.
#include <spawn.h>
#include <sys/wait.h>
#include <csignal>
#include <cstring>
#include <string>
#include <thread>

#include "test/preload/victims/victim.h"

namespace {

void print_mask(const char* what, const sigset_t& set) {
  printf("%-28s ", what);
  for (int signal = 1; signal <= 64; ++signal) putchar('0' + sigismember(&set, signal));
  putchar('\n');
}

void print_current(const char* what) {
  sigset_t now;
  pthread_sigmask(SIG_SETMASK, nullptr, &now);
  print_mask(what, now);
}

char* g_shown[2] = {nullptr, nullptr};  // show_mask_static and show_mask, beside this program

void spawn(const char* what, char* program, const posix_spawnattr_t* attributes) {
  char* const arguments[] = {program, nullptr};
  pid_t child = -1;
  printf("  %-18s ", what);
  fflush(stdout);
  if (posix_spawn(&child, program, nullptr, attributes, arguments, environ) == 0)
    waitpid(child, nullptr, 0);
  else
    puts("failed");
}

void fork_and_exec(char* program) {
  printf("  %-18s ", "exec");
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    execl(program, program, nullptr);
    _exit(99);
  }
  waitpid(child, nullptr, 0);
}

void print_children() {
  posix_spawnattr_t attributes;
  sigset_t own;
  sigemptyset(&own);
  sigaddset(&own, SIGUSR1);
  sigaddset(&own, SIGPROF);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setsigmask(&attributes, &own);
  for (char* program : g_shown) {
    printf(" %s\n", strrchr(program, '/') + 1);
    fork_and_exec(program);
    spawn("posix_spawn", program, nullptr);
    spawn("spawn with a mask", program, &attributes);
    printf("  %-18s ", "system");
    fflush(stdout);
    if (system(program) != 0) puts("failed");
  }
}

void with_mask(const char* what, const sigset_t& set) {
  sigset_t old;
  sigprocmask(SIG_SETMASK, &set, &old);
  print_mask("before", old);
  print_current(what);
  std::thread([] { print_current("  a thread inherits"); }).join();
  victim::burn_ms(30);
  print_current("  and after a while");
  print_children();
  sigprocmask(SIG_SETMASK, &old, nullptr);
}

void everything() {
  sigset_t set;
  sigfillset(&set);
  with_mask("full", set);
  sigemptyset(&set);
  with_mask("empty", set);
  for (int signal : {SIGPROF, SIGVTALRM, SIGSTKFLT, SIGPWR}) sigaddset(&set, signal);
  with_mask("profiling signals", set);
  sigfillset(&set);
  sigdelset(&set, SIGPROF);
  with_mask("all but SIGPROF", set);
}

}  // namespace

int main(int, char** argv) {
  const std::string folder(argv[0], strrchr(argv[0], '/') + 1);
  std::string paths[2] = {folder + "show_mask_static", folder + "show_mask"};
  for (int i = 0; i < 2; ++i) g_shown[i] = paths[i].data();
  if (argv[1] != nullptr) {
    signal(SIGPROF, SIG_IGN);
    signal(SIGVTALRM, SIG_IGN);
  }
  puts("at start");
  everything();
  victim::burn_ms(100);
  puts("after a while");
  everything();
  for (int signal = 1; signal <= 64; ++signal) {
    struct sigaction old {};
    if (sigaction(signal, nullptr, &old) == 0 && (old.sa_handler != SIG_DFL || old.sa_flags != 0))
      printf("signal %d has an action\n", signal);
  }
  sigset_t blocked, pending;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGPROF);
  sigaddset(&blocked, SIGUSR1);
  sigprocmask(SIG_BLOCK, &blocked, nullptr);
  if (argv[1] == nullptr) raise(SIGPROF);
  raise(SIGUSR1);
  victim::burn_ms(50);
  sigpending(&pending);
  print_mask("pending", pending);
  int taken = 0;
  sigwait(&blocked, &taken);
  printf("sigwait takes %d\n", taken);
}
