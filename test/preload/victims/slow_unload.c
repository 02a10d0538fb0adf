// SPDX-License-Identifier: Apache-2.0
// A plugin whose end takes ten milliseconds, for heap_hazards.
#include <unistd.h>

__attribute__((destructor)) static void end(void) {
  usleep(10000);
}
