// SPDX-License-Identifier: Apache-2.0
// A library to be preloaded before or after siprof: its constructor allocates 10 MB in 1000 pieces and runs
// a thread, before anything of siprof needs to have been initialised.
#include <pthread.h>

#include <cstdlib>
#include <cstring>

namespace {

void* touch(void* memory) {
  memset(memory, 1, 10'000);
  return memory;
}

[[gnu::constructor]] void early() {
  void* pieces[1000];
  for (void*& piece : pieces) touch(piece = malloc(10'000));
  pthread_t thread;
  if (pthread_create(&thread, nullptr, touch, pieces[0]) != 0) abort();
  pthread_join(thread, nullptr);
  for (void* piece : pieces) free(piece);
}

}  // namespace
