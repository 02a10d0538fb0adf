// SPDX-License-Identifier: Apache-2.0
// Loads from addresses that may not be readable: other people's structures, met at any instruction. One
// instruction loads, and while the fault guard (shim/core/fault_guard.h) stands in front of the app's
// actions, a fault of that instruction is an answer. Without the guard a fault is the app's.
//
// All loads are of aligned words, so that none touches a page that the bytes asked for aren't in.
// Context: signal handler, any thread.
#pragma once

#include <cstdint>

#include "shim/base/attrs.h"

namespace siprof::shim {

struct Loaded {
  std::uint64_t value;
  std::uint64_t ok;  // 0: it can't be read, `value` is 0
};

extern "C" {
// Of a multiple of 8.
__attribute__((visibility("hidden"))) Loaded siprof_load(std::uint64_t address);
// The instruction that may fault, and where execution goes on when it did.
extern const char siprof_load_at[] __attribute__((visibility("hidden")));
extern const char siprof_load_failed[] __attribute__((visibility("hidden")));
// Faults, whatever the registers.
__attribute__((visibility("hidden"))) void siprof_fault_again();
}

// Whether an object may be there at all: saves a fault, which costs a thousand times as much as a load.
constexpr bool may_be_object(std::uint64_t address) {
  constexpr std::uint64_t kFirstPage = 4096;
  constexpr std::uint64_t kEndOfAddresses = std::uint64_t{1} << 47;
  return address % 8 == 0 && address - kFirstPage < kEndOfAddresses - 2 * kFirstPage;
}

__attribute__((always_inline)) inline bool load_word(std::uint64_t address, std::uint64_t* to) {
  const Loaded loaded = siprof_load(address);
  *to = loaded.value;
  return loaded.ok != 0;
}

// Where a field of 4, 2 or 1 bytes is not at a multiple of its size, nothing is loaded.
template <typename Value>
__attribute__((always_inline)) inline bool load_part(std::uint64_t address, Value* to) {
  static_assert(sizeof(Value) < 8);
  std::uint64_t word = 0;
  if (address % sizeof(Value) != 0 || !load_word(address & ~std::uint64_t{7}, &word)) return false;
  *to = static_cast<Value>(word >> (address % 8 * 8));
  return true;
}

// One byte after the other, a load each eight.
class GuardedBytes {
 public:
  explicit GuardedBytes(std::uint64_t address) : at_(address) {}

  __attribute__((always_inline)) bool next(std::uint8_t* to) {
    if (left_ == 0) {
      if (!load_word(at_ & ~std::uint64_t{7}, &word_)) return false;
      left_ = static_cast<std::uint32_t>(8 - at_ % 8);
      word_ >>= at_ % 8 * 8;
      at_ += left_;
    }
    *to = static_cast<std::uint8_t>(word_);
    word_ >>= 8;
    --left_;
    return true;
  }

 private:
  std::uint64_t at_;  // of what isn't loaded yet
  std::uint64_t word_ = 0;
  std::uint32_t left_ = 0;
};

}  // namespace siprof::shim
