// SPDX-License-Identifier: Apache-2.0
// Opens a plugin when it has run for a while, and has it call back: what runs is the program's own code from
// then on, and the plugin is only ever in the middle of stacks. argv: the plugin.
#include <dlfcn.h>

#include "test/preload/victims/victim.h"

namespace {

VICTIM_NOINLINE void called_back() {
  victim::burn_ms(20);
  asm volatile("");  // no tail call
}

}  // namespace

int main(int argc, char** argv) {
  victim::require(argc == 2, "usage: late_caller PLUGIN");
  victim::burn_ms(200);
  void* plugin = dlopen(argv[1], RTLD_NOW);
  victim::require(plugin != nullptr, "dlopen");
  auto call = reinterpret_cast<void (*)(void (*)(), int)>(dlsym(plugin, "call_times"));
  victim::require(call != nullptr, "dlsym");
  call(called_back, 40);
  puts("called back");
}
