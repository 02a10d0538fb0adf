// SPDX-License-Identifier: Apache-2.0
// Runs with RLIMIT_NOFILE 8 and uses all of the numbers up to it; then overwrites each of them by dup2.
#include <sys/resource.h>
#include <cerrno>
#include <cstring>

#include "test/preload/victims/victim.h"

int main() {
  const rlimit eight{8, 8};
  victim::require(setrlimit(RLIMIT_NOFILE, &eight) == 0, "setrlimit");
  victim::burn_ms(100);
  int opened = 0;
  for (int round = 0; round < 20; ++round) {
    int fd;
    while ((fd = open("/dev/zero", O_RDONLY)) >= 0) opened += fd;
    if (errno != EMFILE) printf("open: %s\n", strerror(errno));
    victim::burn_ms(20);
    for (fd = 4; fd < 8; ++fd) dup2(3, fd);
    for (fd = 3; fd < 8; ++fd) close(fd);
  }
  printf("%d\n", opened);
}
