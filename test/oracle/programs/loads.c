// SPDX-License-Identifier: Apache-2.0
// dlopen, calls through lazily bound stubs, dlclose, again: loads LIBRARY COPY.
#include <dlfcn.h>
#include <stdio.h>

static volatile long g_sink;
typedef long (*Call)(long (*back)(long), long n);

__attribute__((noinline, noclone)) static long back(long n) {
  volatile long kept = n;
  return kept * 2;
}

int main(int count, char** names) {
  for (long n = 0; count > 2; ++n) {
    void* library = dlopen(names[1 + n % 2], RTLD_LAZY);
    Call call = library != NULL ? (Call)dlsym(library, "library_call") : NULL;
    if (call == NULL) {
      fprintf(stderr, "loads: %s\n", dlerror());
      return 1;
    }
    for (long i = 0; i < 1000; ++i) g_sink += call(back, i);
    dlclose(library);
  }
  return 2;
}
