// SPDX-License-Identifier: Apache-2.0
// A function of libc's (or another preload's) that is found when first called.
#pragma once

#include <atomic>

#include "shim/base/elf_lookup.h"

namespace siprof::shim {

// The name isn't kept: pointers to names would be relocations, in every program that starts. `kVersion` null:
// the default one.
template <typename Function, const char* kName, const char* kVersion = nullptr>
class Next {
 public:
  // Null until somebody has called get(): for wrappers that count every nanosecond.
  Function* known() const { return reinterpret_cast<Function*>(address_.load(std::memory_order_relaxed)); }

  // Null only if no module after this one defines it. Any thread, also before the
  // constructor: racing look-ups find the same.
  Function* get() {
    void* address = address_.load(std::memory_order_relaxed);  // a plain value, nothing hangs on it
    if (__builtin_expect(address == nullptr, 0)) {
      address = next_definition(kName, kVersion);
      address_.store(address, std::memory_order_relaxed);
    }
    return reinterpret_cast<Function*>(address);
  }
  template <typename... Args>
  auto operator()(Args... args) {
    return get()(args...);
  }

 private:
  std::atomic<void*> address_{nullptr};
};

}  // namespace siprof::shim
