// SPDX-License-Identifier: Apache-2.0
// Throws that are counted: three types from two functions on four threads. argv: throws per thread, pause
// after each hundred of them in microseconds. Prints what was caught.
#include <pthread.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "test/preload/victims/victim.h"

namespace {

struct Own {
  int value;
};

struct Work {
  int thread;
  int times;
  int pause_us;
  long caught[3];
};

// Of six throws three are runtime errors, two are Own's and one is an int.
VICTIM_NOINLINE void first_thrower(int which) {
  if (which == 0) throw std::runtime_error("first");
  if (which == 1) throw Own{which};
}

VICTIM_NOINLINE void second_thrower(int which) {
  if (which < 4) throw std::runtime_error("second");
  if (which == 4) throw Own{which};
  throw which;
}

void throw_once(int which, long (&caught)[3]) {
  try {
    first_thrower(which);
    second_thrower(which);
  } catch (const std::runtime_error&) {
    ++caught[0];
  } catch (const Own&) {
    ++caught[1];
  } catch (int) {
    ++caught[2];
  }
}

void* run(void* argument) {
  auto& work = *static_cast<Work*>(argument);
  for (int i = 0; i < work.times; ++i) {
    throw_once(i % 6, work.caught);
    if (work.pause_us != 0 && i % 100 == 99) usleep(static_cast<useconds_t>(work.pause_us));
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kThreads = 4;
  victim::require(argc == 3, "usage: throws TIMES PAUSE_US");
  victim::burn_ms(30);  // a process that has just begun isn't attached yet
  pthread_t threads[kThreads];
  Work work[kThreads] = {};
  for (int i = 0; i < kThreads; ++i) {
    work[i] = {i, atoi(argv[1]), atoi(argv[2]), {}};
    victim::require(pthread_create(&threads[i], nullptr, run, &work[i]) == 0, "pthread_create");
  }
  long caught[3] = {};
  for (int i = 0; i < kThreads; ++i) {
    pthread_join(threads[i], nullptr);
    for (int type = 0; type < 3; ++type) caught[type] += work[i].caught[type];
  }
  printf("%ld runtime errors, %ld of its own, %ld numbers\n", caught[0], caught[1], caught[2]);
}
