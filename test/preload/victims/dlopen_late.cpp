// SPDX-License-Identifier: Apache-2.0
// Loads the library named on the command line into the running program, as an application server might do
// with siprof itself, and goes on working.
#include <dlfcn.h>

#include <thread>

#include "test/preload/victims/victim.h"

int main(int argc, char** argv) {
  if (argc > 1 && dlopen(argv[1], RTLD_NOW) == nullptr) puts(dlerror());
  std::thread other(victim::burn_ms, 150);
  victim::burn_ms(150);
  other.join();
  puts("done");
}
