// SPDX-License-Identifier: Apache-2.0
// Frames of all kinds, over and over. corpus.py compiles it with many sets of flags.
#include <alloca.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP __attribute__((noinline, noclone))

static volatile long g_sink;
static jmp_buf g_back;

// Keeps what it needs below the stack pointer.
KEEP static long red_zone(long a, long b) {
  volatile long kept[8] = {a, b, a ^ b, a - b, a + b, a * 3, b * 5, a | b};
  return kept[a & 7] + kept[b & 7];
}

// More alignment than the ABI gives: the prologue realigns the stack.
KEEP static long aligned(long n) {
  _Alignas(64) volatile char bytes[192];
  bytes[n & 127] = (char)n;
  return bytes[n & 127] + red_zone(n, n + 1);
}

KEEP static long aligned_and_variable(long n) {
  _Alignas(128) volatile char bytes[128];
  volatile char* more = alloca((size_t)(n & 255) + 16);
  more[n & 15] = bytes[n & 127] = 1;
  return more[n & 15] + aligned(n + (long)bytes[n & 127]);
}

KEEP static long variable(long n) {
  volatile char bytes[(n & 511) + 1];
  bytes[n & 511] = 2;
  return bytes[n & 511] + aligned_and_variable(n);
}

KEEP static long many_arguments(long a, long b, long c, long d, long e, long f, long g, long h, long i) {
  return a + b * c + d * e + f * g + h * red_zone(i, a);
}

KEEP static long tail_target(long n) {
  return n ^ g_sink;
}
KEEP static long tail_call(long n) {
  return n & 1 ? tail_target(n + 1) : red_zone(n, 3);
}

KEEP static double floats(double x, int n) {
  double sum[16] = {x};
  for (int i = 1; i < 16; ++i) sum[i] = sum[i - 1] * 1.01 + n * x;
  return sum[n & 15] + (n > 0 ? floats(x / 2, n - 1) : 0);
}

__attribute__((noreturn)) KEEP static void leave(int value) {
  longjmp(g_back, value);
}
KEEP static long jumps(long n) {
  const int value = setjmp(g_back);
  if (value == 0) leave((int)(n & 7) + 1);
  return value;
}

KEEP static long variadic(int count, ...) {
  va_list arguments;
  va_start(arguments, count);
  long sum = 0;
  while (count-- > 0) sum += va_arg(arguments, long);
  va_end(arguments);
  return sum;
}

KEEP static long deep(int depth) {
  volatile long here = depth;
  return depth == 0 ? red_zone(here, 1) : deep(depth - 1) + here;
}

// Called back by libc.
static int compare(const void* a, const void* b) {
  const int left = *(const int*)a;
  const int right = *(const int*)b;
  return (left > right) - (left < right);
}

KEEP static long library(long n) {
  int numbers[32];
  char text[64];
  for (int i = 0; i < 32; ++i) numbers[i] = (int)(n * 7919 + i * 104729) % 1000;
  qsort(numbers, 32, sizeof numbers[0], compare);
  snprintf(text, sizeof text, "%d %ld %.3f", numbers[3], n, (double)n / 3);
  char* copy = strdup(text);
  const long length = (long)strlen(copy) + (strstr(copy, " ") != NULL);
  free(copy);
  return length;
}

int main(void) {
  for (long n = 1;; ++n) {
    g_sink += tail_call(n) + variadic(4, n, 2L, 3L, n);
    g_sink += many_arguments(n, 2, 3, 4, 5, 6, 7, 8, 9) + (long)floats(1.5, 9) + deep((int)(n & 31));
    if (n % 2 == 0) g_sink += library(n) + variable(n);
    if (n % 8 == 0) g_sink += jumps(n);
  }
}
