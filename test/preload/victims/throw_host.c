// SPDX-License-Identifier: Apache-2.0
// A C program that opens a C++ plugin, as python, nginx or php do: the plugin's exceptions must be served by
// libgcc, not by an unwinder that a preloaded library brought along. argv: plugin, number of throws.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  void* plugin = argc > 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
  if (plugin == NULL) {
    puts(argc > 2 ? dlerror() : "usage: throw_host PLUGIN TIMES");
    return 99;
  }
  int (*throw_and_catch)(int) = (int (*)(int))dlsym(plugin, "throw_and_catch");
  void (*print_unwinder_homes)(void) = (void (*)(void))dlsym(plugin, "print_unwinder_homes");
  printf("%d caught\n", throw_and_catch(atoi(argv[2])));
  print_unwinder_homes();
  return 0;
}
