// SPDX-License-Identifier: Apache-2.0
// Opens every library named on the command line and touches its thread-local block, while two threads that
// are being sampled allocate: exhausted static TLS or TLS that is allocated in a handler shows here.
#include <dlfcn.h>

#include <atomic>
#include <thread>

#include "test/preload/victims/victim.h"

namespace {

std::atomic<bool> g_done{false};

VICTIM_NOINLINE void allocate() {
  while (!g_done.load(std::memory_order_relaxed)) {
    for (int size = 16; size < 4096; size *= 2) {
      void* block = malloc(size);
      asm volatile("" : : "r"(block) : "memory");
      free(block);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::thread first(allocate), second(allocate);
  victim::burn_ms(100);
  int opened = 0;
  for (int i = 1; i < argc; ++i) {
    void* library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      printf("%s\n", dlerror());
      continue;
    }
    auto touch = reinterpret_cast<int (*)(int)>(dlsym(library, "touch_tls"));
    for (int round = 0; round < 100; ++round) opened += touch(7) == 7;
  }
  victim::burn_ms(100);
  g_done = true;
  first.join();
  second.join();
  printf("%d\n", opened);
}
