// SPDX-License-Identifier: Apache-2.0
// A prefork server in small: 8 workers burn 300 ms each after the parent has burnt 300 ms. Each process
// notes its own CPU time, so that nothing may be missing from the profile or be in it twice.
// argv: workers, milliseconds, milliseconds that the parent sleeps before it forks.
#include <sys/wait.h>

#include "test/preload/victims/victim.h"

int main(int argc, char** argv) {
  const int workers = argc > 1 ? atoi(argv[1]) : 8;
  const int ms = argc > 2 ? atoi(argv[2]) : 300;
  victim::burn_ms(ms);
  if (argc > 3) usleep(1000 * static_cast<useconds_t>(atoi(argv[3])));
  for (int i = 0; i < workers; ++i) {
    const pid_t child = fork();
    victim::require(child >= 0, "fork");
    if (child == 0) {
      victim::burn_ms(ms);
      victim::note_fact("worker", getpid());
      victim::note_fact("worker_cpu_ns", victim::process_cpu_ns());
      _exit(i);
    }
  }
  int statuses = 0, status = 0;
  while (wait(&status) > 0) statuses += WEXITSTATUS(status);
  victim::note_fact("parent", getpid());
  victim::note_fact("parent_cpu_ns", victim::process_cpu_ns());
  printf("sum of the workers' statuses: %d\n", statuses);
}
