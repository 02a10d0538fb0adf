// SPDX-License-Identifier: Apache-2.0
// Closes the last descriptor of a pipe's writing end, over and over, in processes that attach meanwhile: the
// reading end must tell so at once, as a port must be free and a lock gone once its last descriptor is
// closed. Of descriptors from 64 on. Status 77: this kernel can't make a process without a copy of the
// descriptors (Linux 5.9).
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "test/preload/victims/victim.h"

namespace {

std::atomic<bool> g_stop{false};
int g_late = 0;

void close_and_look() {
  constexpr int kPipes = 8;
  int ends[kPipes][2];
  while (!g_stop.load(std::memory_order_relaxed)) {
    for (auto& pair : ends) victim::require(pipe2(pair, O_NONBLOCK) == 0, "pipe2");
    for (auto& pair : ends) {
      char byte;
      close(pair[1]);
      if (read(pair[0], &byte, 1) != 0) ++g_late;
      close(pair[0]);
    }
  }
}

}  // namespace

int main() {
  constexpr long kCloseRange = 436, kUnshare = 2;
  // The kernel copies the first 64 in any case (dup_fd in fs/file.c), and closes them microseconds later.
  while (dup(0) < 64) {
  }
  if (syscall(kCloseRange, ~0u, ~0u, kUnshare) != 0) return 77;
  int late = 0;
  for (int i = 0; i < 40; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      std::thread closer(close_and_look);
      victim::burn_ms(20);
      g_stop = true;
      closer.join();
      _exit(g_late < 100 ? g_late : 100);
    }
    int status = 0;
    waitpid(child, &status, 0);
    late += WEXITSTATUS(status);
  }
  printf("%d ends were still held by somebody\n", late);
}
