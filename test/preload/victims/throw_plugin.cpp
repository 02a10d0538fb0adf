// SPDX-License-Identifier: Apache-2.0
// A C++ plugin for a C host: throws through ten frames, and tells which file serves the unwinder's entry
// points. Notes how long a throw takes in the best batch, which load and ticks hardly touch. Opened by
// throw_host (C) and linked into throw_main (C++).
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>

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
  int caught = 0;
  int64_t best_ns = INT64_MAX;
  for (int done = 0; done < times; done += kBatch) {
    const int64_t start_ns = victim::thread_cpu_ns();
    caught += throw_some(std::min(kBatch, times - done));
    best_ns = std::min(best_ns, (victim::thread_cpu_ns() - start_ns) / kBatch);
  }
  victim::note_fact("throw_ns", best_ns);
  return caught;
}

extern "C" void print_unwinder_homes() {
  for (const char* symbol :
       {"_Unwind_RaiseException", "_Unwind_Resume", "_Unwind_ForcedUnwind", "_Unwind_Backtrace",
        "_Unwind_GetIP", "__register_frame", "backtrace", "__gxx_personality_v0"}) {
    print_home(symbol);
  }
}
