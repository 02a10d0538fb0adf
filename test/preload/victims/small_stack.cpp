// SPDX-License-Identifier: Apache-2.0
// Threads on the smallest stack there is (16 KiB), recursing until little is left, with a patterned page
// right below instead of a guard: a handler that needs too much room leaves its mark there.
#include <pthread.h>
#include <sys/mman.h>
#include <cstring>

#include "test/preload/victims/victim.h"

namespace {

constexpr size_t kStackBytes = 16384, kPageBytes = 4096;

// Leaves `room` bytes of the stack, then burns. The kernel's own signal frame (up to 3.4 KiB with AVX-512)
// has to fit as well, with or without siprof.
VICTIM_NOINLINE void descend(char* low, size_t room) {
  volatile char here[256];
  here[0] = 1;
  if (reinterpret_cast<char*>(__builtin_frame_address(0)) - low > static_cast<long>(room)) {
    descend(low, room);
  } else {
    victim::burn_ms(150);
  }
  here[1] = here[0];
}

void* on_small_stack(void* low) {
  descend(static_cast<char*>(low), 5 * 1024);
  return nullptr;
}

}  // namespace

int main() {
  for (int round = 0; round < 4; ++round) {
    auto* memory = static_cast<char*>(mmap(nullptr, kPageBytes + kStackBytes, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0));
    victim::require(memory != MAP_FAILED, "mmap");
    memset(memory, 0x5a, kPageBytes);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    victim::require(pthread_attr_setstack(&attributes, memory + kPageBytes, kStackBytes) == 0, "setstack");
    pthread_t thread;
    victim::require(pthread_create(&thread, &attributes, on_small_stack, memory + kPageBytes) == 0, "create");
    pthread_join(thread, nullptr);
    size_t intact = 0;
    while (intact < kPageBytes && memory[intact] == 0x5a) ++intact;
    printf("%zu bytes of the page below are intact\n", intact);
  }
}
