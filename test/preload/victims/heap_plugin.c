// SPDX-License-Identifier: Apache-2.0
// Allocates and frees in a library of its own, for heap_hazards.
#include <stdlib.h>
#include <string.h>

void* plugin_allocate(size_t bytes) {
  void* block = malloc(bytes);
  memset(block, 0xff, bytes);
  return block;
}

void plugin_free(void* block) {
  free(block);
}
