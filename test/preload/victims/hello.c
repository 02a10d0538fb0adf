// SPDX-License-Identifier: Apache-2.0
// The smallest C program: what the loader and the first look-ups can break shows here.
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  char* text = malloc(32);
  snprintf(text, 32, "hello");
  puts(text);
  free(text);
  return 3;
}
