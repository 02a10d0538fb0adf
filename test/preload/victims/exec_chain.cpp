// SPDX-License-Identifier: Apache-2.0
// Executes itself N times in a row while a second thread keeps the sampler busy. "blocked": with SIGPROF
// blocked, and pending if siprof uses it. A signal that outlives the exec would kill the next program.
#include <csignal>
#include <cstring>
#include <thread>

#include "test/preload/victims/victim.h"

int main(int argc, char** argv) {
  const int left = argc > 1 ? atoi(argv[1]) : 0;
  const bool blocked = argc > 2 && strcmp(argv[2], "blocked") == 0;
  sigset_t mask;
  sigprocmask(SIG_SETMASK, nullptr, &mask);
  if (blocked && left != 0 && argc > 3 && sigismember(&mask, SIGPROF) != 1)
    puts("SIGPROF is not blocked any more");
  if (left == 0) {
    puts("the last one");
    return 0;
  }
  if (blocked) {
    sigset_t profile;
    sigemptyset(&profile);
    sigaddset(&profile, SIGPROF);
    sigprocmask(SIG_BLOCK, &profile, nullptr);
  }
  std::thread([] { victim::burn_ms(1000); }).detach();
  victim::burn_ms(6);
  char next[16];
  snprintf(next, sizeof next, "%d", left - 1);
  execl(argv[0], argv[0], next, blocked ? "blocked" : "open", "again", nullptr);
  victim::give_up("execl");
}
