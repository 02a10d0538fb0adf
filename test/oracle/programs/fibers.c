// SPDX-License-Identifier: Apache-2.0
// Stacks of the program's own, on the heap, switched with swapcontext.
#include <stdlib.h>
#include <ucontext.h>

enum { kFibers = 6, kStackBytes = 64 << 10 };
static ucontext_t g_main, g_fibers[kFibers];
static volatile long g_sink;

__attribute__((noinline, noclone)) static long work(int depth) {
  volatile long here = depth;
  return depth == 0 ? here : work(depth - 1) + here;
}

static void fiber(int number) {
  for (;;) {
    g_sink += work(number + 3);
    swapcontext(&g_fibers[number], &g_main);
  }
}

int main(void) {
  for (int i = 0; i < kFibers; ++i) {
    getcontext(&g_fibers[i]);
    g_fibers[i].uc_stack.ss_sp = malloc(kStackBytes);
    g_fibers[i].uc_stack.ss_size = kStackBytes;
    makecontext(&g_fibers[i], (void (*)(void))fiber, 1, i);
  }
  for (int n = 0;; ++n) {
    swapcontext(&g_main, &g_fibers[n % kFibers]);
    g_sink += work(n % 5);
  }
}
