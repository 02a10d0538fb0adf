// SPDX-License-Identifier: Apache-2.0
// Asks the vDSO for the time.
#define _GNU_SOURCE
#include <sched.h>
#include <sys/time.h>
#include <time.h>

static volatile long g_sink;

int main(void) {
  for (;;) {
    struct timespec now;
    struct timeval day;
    clock_gettime(CLOCK_MONOTONIC, &now);
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    gettimeofday(&day, 0);
    g_sink += now.tv_nsec + day.tv_usec + time(0) + sched_getcpu();
  }
}
