// SPDX-License-Identifier: Apache-2.0
// Built twice, with one build-id chosen by hand: frames and functions differ by NUMBER, and so do addresses.
#include "test/preload/victims/victim.h"

#define NAME_OF(name, number) name##_in_##number
#define NAME(name, number) NAME_OF(name, number)

#if NUMBER == 1
// Moves what follows, and leaves another function where burn_in_0 is in the other program.
VICTIM_NOINLINE __attribute__((used)) uint64_t NAME(other, NUMBER)(uint64_t value) {
  volatile char room[3000];
  for (volatile char& byte : room) byte = static_cast<char>(value++);
  return value + room[value % 3000];
}
#endif

VICTIM_NOINLINE void NAME(burn, NUMBER)() {
  volatile char room[200 + NUMBER * 1000];
  room[0] = 1;
  const int64_t end = victim::thread_cpu_ns() + 300'000'000;
  while (victim::thread_cpu_ns() < end) {
    for (volatile int i = 0; i < 100'000; i = i + 1) room[1] = room[0];
  }
}

VICTIM_NOINLINE void NAME(call, NUMBER)() {
  volatile char room[40 + NUMBER * 64];
  room[0] = 0;
  NAME(burn, NUMBER)();
  room[1] = room[0];
}

int main() {
  NAME(call, NUMBER)();
  puts("done");
}
