// SPDX-License-Identifier: Apache-2.0
// A shared library, linked lazily; loads.c calls it and loads and unloads it.
#include <math.h>
#include <string.h>

__attribute__((noinline)) double library_sum(const double* values, int count) {
  double sum = 0;
  for (int i = 0; i < count; ++i) sum += sqrt(values[i]) + cbrt(values[i]);
  return sum;
}

long library_call(long (*back)(long), long n) {
  double values[12];
  for (int i = 0; i < 12; ++i) values[i] = (double)(n + i);
  char text[40];
  memset(text, (int)n, sizeof text);
  return back(n) + (long)library_sum(values, 12) + text[n & 31];
}
