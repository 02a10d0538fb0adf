// SPDX-License-Identifier: Apache-2.0
// N children from four threads at once by posix_spawn (or "vfork"), while the parent is sampled: the child
// runs in the parent's memory until it execs. Every child must end with 7.
#include <spawn.h>
#include <sys/wait.h>
#include <cstring>
#include <thread>
#include <vector>

#include "test/preload/victims/victim.h"

namespace {

char* const kCommand[] = {const_cast<char*>("/bin/sh"), const_cast<char*>("-c"), const_cast<char*>("exit 7"),
                          nullptr};

pid_t by_vfork() {
  const pid_t child = vfork();
  if (child == 0) {
    close(40);  // interposed calls in a borrowed address space
    execve(kCommand[0], kCommand, environ);
    _exit(99);
  }
  return child;
}

void storm(bool use_vfork, int count, int* right) {
  for (int i = 0; i < count; ++i) {
    pid_t child = -1;
    if (use_vfork) {
      child = by_vfork();
    } else if (posix_spawn(&child, kCommand[0], nullptr, nullptr, kCommand, environ) != 0) {
      continue;
    }
    int status = 0;
    *right += waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7;
    for (int spins = 0; spins < 10; ++spins) asm volatile("" ::"r"(victim::spin(spins + 1)));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? atoi(argv[1]) : 400;
  const bool use_vfork = argc > 2 && strcmp(argv[2], "vfork") == 0;
  int right[4] = {};
  std::vector<std::thread> threads;
  for (int& mine : right) threads.emplace_back(storm, use_vfork, count / 4, &mine);
  for (std::thread& thread : threads) thread.join();
  printf("%d children ended with 7\n", right[0] + right[1] + right[2] + right[3]);
}
