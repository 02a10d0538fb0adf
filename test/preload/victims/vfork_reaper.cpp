// SPDX-License-Identifier: Apache-2.0
// A process that orphans come to, and that makes its children by vfork and exec, too early to have been
// sampled: exactly its own three children may show up in wait(2).
#include <sys/prctl.h>
#include <sys/wait.h>
#include <cerrno>
#include <cstring>

#include "test/preload/victims/victim.h"

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) {
    victim::burn_ms(150);
    return 0;
  }
  if (getpid() != 1) victim::require(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, "prctl");
  for (int i = 0; i < 3; ++i) {
    const pid_t child = vfork();
    if (child == 0) {
      execl(argv[0], argv[0], "worker", nullptr);
      _exit(99);
    }
    int status = 0;
    const pid_t got = waitpid(child, &status, 0);
    printf("child %d: %s, status %d\n", i, got == child ? "ended" : strerror(errno), WEXITSTATUS(status));
  }
  for (int i = 0; i < 10; ++i) {
    usleep(50'000);
    const pid_t got = waitpid(-1, nullptr, WNOHANG);
    if (got >= 0) printf("wait(-1) gives %s\n", got == 0 ? "a child that runs" : "a child that ended");
  }
}
