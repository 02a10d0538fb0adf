// SPDX-License-Identifier: Apache-2.0
// Prints the mask and the ignored signals it was started with. mask_readback executes it as a static
// program (the kernel's own view, siprof is not in it) and as a dynamic one (the view that siprof keeps).
#include <csignal>
#include <cstdio>

int main() {
  sigset_t mask;
  sigprocmask(SIG_SETMASK, nullptr, &mask);
  for (int signal = 1; signal <= 64; ++signal) {
    struct sigaction action {};
    const bool ignored = sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
    putchar(ignored ? 'i' : sigismember(&mask, signal) == 1 ? '1' : '0');
  }
  putchar('\n');
}
