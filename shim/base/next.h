// SPDX-License-Identifier: Apache-2.0
// A function of libc's (or another preload's) that is found when first called.
#pragma once

#include <atomic>

#include "shim/base/elf_lookup.h"

namespace siprof::shim {

template <typename Function>
class Next {
 public:
  constexpr explicit Next(const char* name) : name_(name) {}

  // Null only if no module after this one defines it. Any thread, also before the
  // constructor: racing look-ups find the same.
  Function* get() {
    void* address = address_.load(std::memory_order_relaxed);  // a plain value, nothing hangs on it
    if (__builtin_expect(address == nullptr, 0)) {
      address = next_definition(name_);
      address_.store(address, std::memory_order_relaxed);
    }
    return reinterpret_cast<Function*>(address);
  }
  template <typename... Args>
  auto operator()(Args... args) {
    return get()(args...);
  }

 private:
  const char* name_;
  std::atomic<void*> address_{nullptr};
};

}  // namespace siprof::shim
