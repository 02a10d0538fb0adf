// SPDX-License-Identifier: Apache-2.0
// Children that can't read a clock any more, at work: by seccomp's strict mode ("strict", by prctl or by
// seccomp(2)) or because the program wants a fault for it ("tsc").
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "test/preload/victims/victim.h"

namespace {

void lose_clock(int way) {
  if (way == 0) victim::require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0, "strict mode by prctl");
  if (way == 1)
    victim::require(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, nullptr) == 0, "strict mode");
  if (way == 2) victim::require(prctl(PR_SET_TSC, PR_TSC_SIGSEGV) == 0, "no time stamps");
}

[[noreturn]] void child(int way) {
  victim::burn_ms(50);
  free(malloc(1 << 20));
  lose_clock(way);
  for (volatile long i = 0; i < 200'000'000; i = i + 1) {
  }
  free(malloc(100'000));
  const ssize_t written = write(1, "at work\n", 8);
  syscall(SYS_exit, written == 8 ? 4 : 5);
  abort();
}

}  // namespace

int main() {
  setvbuf(stdout, nullptr, _IONBF, 0);
  victim::burn_ms(200);
  for (int way = 0; way < 3; ++way) {
    const pid_t process = fork();
    if (process == 0) child(way);
    int status = 0;
    waitpid(process, &status, 0);
    printf("way %d: %s %d\n", way, WIFEXITED(status) ? "status" : "signal",
           WIFEXITED(status) ? WEXITSTATUS(status) : status);
  }
}
