// SPDX-License-Identifier: Apache-2.0
// What a shell or an init sees of its children: waits for all of them, with a SIGCHLD handler, in full swing.
// "subreaper": orphans come to it as well. Exactly its own three children may show up.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "test/preload/victims/victim.h"

namespace {

volatile sig_atomic_t g_signals = 0;

void on_child(int) {
  g_signals = g_signals + 1;
}

void print_wait(const char* when) {
  int status = 0;
  const pid_t got = waitpid(-1, &status, WNOHANG);
  printf("%s: wait(-1) gives %d, %s; %d SIGCHLD\n", when, got > 0 ? 1 : got,
         got < 0 ? strerror(errno) : "a child", static_cast<int>(g_signals));
}

}  // namespace

int main(int argc, char** argv) {
  struct sigaction action {};
  action.sa_handler = on_child;
  sigaction(SIGCHLD, &action, nullptr);
  if (argc > 1 && strcmp(argv[1], "subreaper") == 0) prctl(PR_SET_CHILD_SUBREAPER, 1);
  // "idle": only the children work, so it is one of them that starts the agent, below us.
  const bool idle = argc > 2 && strcmp(argv[2], "idle") == 0;
  print_wait("at start");
  if (!idle) victim::burn_ms(300);
  print_wait("after a while");
  for (int i = 0; i < 3; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      victim::burn_ms(200);
      _exit(i);
    }
    int status = 0;
    pid_t got;
    while ((got = wait(&status)) < 0 && errno == EINTR) continue;
    printf("child %d: %s, status %d\n", i, got == child ? "the right one" : "another one",
           WEXITSTATUS(status));
  }
  for (int i = 0; i < 20; ++i) {
    if (!idle) victim::burn_ms(20);
    usleep(20'000);
  }
  print_wait("at the end");
}
