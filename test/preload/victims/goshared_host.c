// SPDX-License-Identifier: Apache-2.0
// Opens the Go library named on the command line, lets it profile itself while C and Go both work.
#include <dlfcn.h>
#include <stdio.h>

static volatile unsigned long g_sink;

static void work_in_c(void) {
  for (unsigned long i = 0; i < 200000000; ++i) g_sink += i;
}

int main(int argc, char** argv) {
  void* library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
  if (library == NULL) {
    puts(argc > 1 ? dlerror() : "usage: goshared_host LIBRARY");
    return 99;
  }
  int (*start)(void) = (int (*)(void))dlsym(library, "StartProfile");
  int (*stop)(void) = (int (*)(void))dlsym(library, "StopProfile");
  unsigned long long (*work)(int) = (unsigned long long (*)(int))dlsym(library, "Work");
  work_in_c();
  printf("start: %d\n", start());
  printf("work: %llu\n", work(300));
  work_in_c();
  printf("a profile of its own: %s\n", stop() > 200 ? "yes" : "no");
  return 0;
}
