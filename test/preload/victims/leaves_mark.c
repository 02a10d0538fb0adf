// SPDX-License-Identifier: Apache-2.0
// Stands for a program that must not be executed: leaves a file in the root directory that it sees.
#include <fcntl.h>
#include <unistd.h>

int main(void) {
  const int fd = open("/mark", O_WRONLY | O_CREAT, 0600);
  return fd < 0 || close(fd) != 0;
}
