// SPDX-License-Identifier: Apache-2.0
// A C++ plugin for a C host: throws through ten frames, and tells which file serves the unwinder's entry
// points. Notes how long a throw takes in the best batch, which load and ticks hardly touch, and in the
// median one. Opened by throw_host (C) and linked into throw_main (C++). With THROW_PAUSE_US it rests that
// long after each hundred, which test/bench/throw_cost.py needs.
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "test/preload/victims/victim.h"

namespace {

template <int kDepth>
VICTIM_NOINLINE int thrower(int value) {
  if constexpr (kDepth == 0) {
    throw std::runtime_error("thrown");
  } else {
    return thrower<kDepth - 1>(value) + 1;
  }
}

void print_home(const char* symbol) {
  Dl_info info{};
  void* address = dlsym(RTLD_DEFAULT, symbol);
  if (address == nullptr || dladdr(address, &info) == 0) {
    printf("%s: none\n", symbol);
    return;
  }
  const char* slash = strrchr(info.dli_fname, '/');
  printf("%s: %s\n", symbol, slash != nullptr ? slash + 1 : info.dli_fname);
}

}  // namespace

namespace {

constexpr int kBatch = 100;

int throw_some(int times) {
  int caught = 0;
  for (int i = 0; i < times; ++i) {
    try {
      caught += thrower<10>(i);
    } catch (const std::runtime_error& error) {
      caught += error.what()[0] == 't';
    }
  }
  return caught;
}

}  // namespace

extern "C" int throw_and_catch(int times) {
  const char* pause_us = getenv("THROW_PAUSE_US");
  int caught = 0;
  std::vector<int64_t> batches_ns;
  for (int done = 0; done < times; done += kBatch) {
    const int64_t start_ns = victim::thread_cpu_ns();
    caught += throw_some(std::min(kBatch, times - done));
    batches_ns.push_back((victim::thread_cpu_ns() - start_ns) / kBatch);
    if (pause_us == nullptr) continue;
    if (done < times / 4) batches_ns.clear();  // by then siprof is there
    usleep(static_cast<useconds_t>(atoi(pause_us)));
  }
  std::sort(batches_ns.begin(), batches_ns.end());
  if (!batches_ns.empty()) {
    victim::note_fact("throw_ns", batches_ns.front());
    victim::note_fact("throw_median_ns", batches_ns[batches_ns.size() / 2]);
  }
  return caught;
}

extern "C" void print_unwinder_homes() {
  for (const char* symbol :
       {"_Unwind_RaiseException", "_Unwind_Resume", "_Unwind_ForcedUnwind", "_Unwind_Backtrace",
        "_Unwind_GetIP", "__register_frame", "backtrace", "__gxx_personality_v0"}) {
    print_home(symbol);
  }
}
