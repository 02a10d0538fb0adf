// SPDX-License-Identifier: Apache-2.0
// A C program whose plugins each bring a C++ runtime: the shared one, or one linked in. An exception belongs
// to the runtime of the plugin that throws it, also after another plugin has taken the place of one that was
// closed. argv: times, plugins. Prints what was caught and what each runtime believes is still in flight.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

struct Caught {
  int caught;
  int in_flight;
};

int main(int argc, char** argv) {
  for (int round = 0; argc > 2 && round < atoi(argv[1]); ++round) {
    // Two at a time stay open, in changing company.
    void* plugins[2];
    for (int i = 0; i < 2; ++i) {
      plugins[i] = dlopen(argv[2 + (round + i) % (argc - 2)], RTLD_NOW | RTLD_LOCAL);
      if (plugins[i] == NULL) {
        puts(dlerror());
        return 99;
      }
    }
    for (int i = 0; i < 2; ++i) {
      struct Caught (*throw_some)(void) = (struct Caught(*)(void))dlsym(plugins[i], "throw_some");
      const struct Caught caught = throw_some();
      if (round < argc || caught.caught != 10 || caught.in_flight != 0)
        printf("plugin %d: %d caught, %d in flight\n", (round + i) % (argc - 2), caught.caught,
               caught.in_flight);
    }
    for (int i = 0; i < 2; ++i) dlclose(plugins[i]);
  }
  puts("done");
  return 0;
}
