// SPDX-License-Identifier: Apache-2.0
// The same throws in a C++ program of its own.
#include <cstdio>
#include <cstdlib>

extern "C" int throw_and_catch(int times);
extern "C" void print_unwinder_homes();

int main(int argc, char** argv) {
  printf("%d caught\n", throw_and_catch(argc > 1 ? atoi(argv[1]) : 1000));
  print_unwinder_homes();
}
