// SPDX-License-Identifier: Apache-2.0
// Calls what it is given, and does nothing else.
void call_times(void (*function)(void), int times) {
  for (int i = 0; i < times; ++i) function();
  __asm__ volatile("");  // no tail call
}
