// SPDX-License-Identifier: Apache-2.0
// One of several plugins with the same size and another inside: functions carry its number, lie somewhere
// else, and have larger or smaller frames. Rules or names of one that are used for another give a stack that
// can't be.
#include "test/preload/victims/storm_plugin.h"

#include <stdexcept>

#include "test/preload/victims/victim.h"

#define JOIN(name, number) name##number
#define OF_PLUGIN(name, number) JOIN(name##_of_plugin_, number)
#define CALL OF_PLUGIN(call, PLUGIN)
#define MIDDLE OF_PLUGIN(middle, PLUGIN)
#define BURN OF_PLUGIN(burn, PLUGIN)
#define SHIFT OF_PLUGIN(shift, PLUGIN)

extern "C" {

// Never called: what follows begins PLUGIN times 48 bytes later.
__attribute__((used, visibility("hidden"))) void SHIFT() {
  asm volatile(".skip %c0, 0xcc" ::"i"(16 + 48 * PLUGIN));
}

__attribute__((visibility("hidden"))) VICTIM_NOINLINE uint64_t BURN(uint64_t seed, int spins) {
  volatile char frame[16 + 32 * (PLUGIN % 3)];
  frame[0] = 0;
  for (int i = 0; i < spins; ++i) {
    seed = victim::plugin_answer(PLUGIN, seed, 1);
    asm volatile("" : "+r"(seed));
  }
  return seed + static_cast<uint64_t>(frame[0]);
}

__attribute__((visibility("hidden"))) VICTIM_NOINLINE uint64_t MIDDLE(uint64_t seed, int spins, bool throws) {
  volatile char frame[32 + 80 * (PLUGIN % 5)];
  frame[0] = 0;
  const uint64_t answer = BURN(seed, spins);
  if (throws) throw std::runtime_error("thrown by a plugin");
  return answer + static_cast<uint64_t>(frame[0]);
}

__attribute__((visibility("default"))) uint64_t CALL(uint64_t seed, int spins, victim::Ending ending) {
  volatile char frame[48 + 112 * (PLUGIN % 4)];
  frame[0] = 0;
  if (ending != victim::Ending::kCatchesItsOwn) {
    return MIDDLE(seed, spins, ending == victim::Ending::kThrows) + static_cast<uint64_t>(frame[0]);
  }
  try {
    return MIDDLE(seed, spins, true);
  } catch (const std::runtime_error&) {
    return victim::plugin_answer(PLUGIN, seed, spins) + static_cast<uint64_t>(frame[0]);
  }
}
}
