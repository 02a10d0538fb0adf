// SPDX-License-Identifier: Apache-2.0
// Sets signal masks and actions in every way and prints what it reads back, also what a new thread, an
// exec'd, a spawned and a system() child inherit. First once with no tick taken, then once in full swing.
#include <spawn.h>
#include <sys/wait.h>
#include <csignal>
#include <cstring>
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

void print_children(const char* what) {
  fflush(stdout);
  const char* command[] = {"/bin/grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status", nullptr};
  char** arguments = const_cast<char**>(command);
  printf("%s, exec:\n", what);
  fflush(stdout);
  if (const pid_t child = fork(); child == 0) {
    execv(command[0], arguments);
    _exit(99);
  } else {
    waitpid(child, nullptr, 0);
  }
  printf("%s, posix_spawn:\n", what);
  fflush(stdout);
  pid_t child;
  if (posix_spawn(&child, command[0], nullptr, nullptr, arguments, environ) == 0) waitpid(child, nullptr, 0);
  posix_spawnattr_t attributes;
  sigset_t own;
  sigemptyset(&own);
  sigaddset(&own, SIGUSR1);
  sigaddset(&own, SIGPROF);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setsigmask(&attributes, &own);
  printf("%s, posix_spawn with a mask:\n", what);
  fflush(stdout);
  if (posix_spawn(&child, command[0], nullptr, &attributes, arguments, environ) == 0)
    waitpid(child, nullptr, 0);
  printf("%s, system:\n", what);
  fflush(stdout);
  if (system("grep -E '^Sig(Blk|Ign):' /proc/self/status") != 0) puts("system failed");
}

void with_mask(const char* what, const sigset_t& set) {
  sigset_t old;
  sigprocmask(SIG_SETMASK, &set, &old);
  print_mask("before", old);
  print_current(what);
  std::thread([] { print_current("  a thread inherits"); }).join();
  victim::burn_ms(30);
  print_current("  and after a while");
  print_children(what);
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

int main() {
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
  raise(SIGPROF);
  raise(SIGUSR1);
  victim::burn_ms(50);
  sigpending(&pending);
  print_mask("pending", pending);
  int taken = 0;
  sigwait(&blocked, &taken);
  printf("sigwait takes %d\n", taken);
}
