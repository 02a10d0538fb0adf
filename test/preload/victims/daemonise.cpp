// SPDX-License-Identifier: Apache-2.0
// Becomes a daemon at start (or, with "late", after it has been sampled) and works on. Its output stays
// open, so the case sees when the daemon is done.
#include <cstring>

#include "test/preload/victims/victim.h"

VICTIM_NOINLINE static void as_daemon() {
  victim::burn_ms(700);
  asm volatile("");
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "late") == 0) victim::burn_ms(200);
  victim::require(daemon(/*nochdir=*/0, /*noclose=*/1) == 0, "daemon");
  victim::note_fact("daemon", getpid());
  as_daemon();
  victim::note_fact("cpu_ns", victim::process_cpu_ns());
  puts("the daemon is done");
}
