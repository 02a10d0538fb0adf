// SPDX-License-Identifier: Apache-2.0
// Calls what is in by_hand.S, mostly what has call-frame information.
long with_pushes(long n, long (*call)(long));
long with_remembered_state(long n, long (*call)(long));
long with_expression(long n, long (*call)(long));
long without_information(long n, long (*call)(long));

static volatile long g_sink;

__attribute__((noinline, noclone)) static long called(long n) {
  volatile long kept[4] = {n, 2, 3, 4};
  return kept[n & 3];
}
__attribute__((noinline, noclone)) static long nested(long n) {
  return with_pushes(n, called) + with_remembered_state(n, called) + 1;
}

int main(void) {
  for (long n = 0;; ++n) {
    g_sink += with_pushes(n, nested) + with_remembered_state(n, nested);
    if (n % 8 == 0) g_sink += with_expression(n, nested);
    if (n % 64 == 0) g_sink += without_information(n, called);
  }
}
