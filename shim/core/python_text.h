// SPDX-License-Identifier: Apache-2.0
// A str of the interpreter's as UTF-8, by guarded loads. Context: signal handler, any thread; the fault guard
// is in force.
#pragma once

#include <cstdint>

#include "proto/siprof/python.h"
#include "shim/base/attrs.h"

namespace siprof::shim {

// Where a str has its characters.
struct PythonText {
  std::uint64_t data;
  std::uint64_t length;  // in characters
  std::uint32_t width;   // bytes of each: 1, 2 or 4
};

// False: `object` isn't a str, or not readable.
SIPROF_SIGNAL_SAFE bool open_text(const PythonLayout& layout, std::uint64_t object, PythonText* text);

// What a code object says, as a number. Equal in all processes.
class MarkHash {
 public:
  __attribute__((always_inline)) void add(std::uint8_t byte) {
    word_ = word_ << 8 | byte;
    if (++bytes_ % 8 == 0) mix();
  }
  void add_number(std::uint64_t number) {
    for (int i = 0; i < 8; ++i) add(static_cast<std::uint8_t>(number >> 8 * i));
  }
  // Of kPythonMarkBits, never 0.
  std::uint64_t mark() {
    add_number(bytes_);
    mix();
    const std::uint64_t mark = (hash_ ^ hash_ >> 29) & ((std::uint64_t{1} << kPythonMarkBits) - 1);
    return mark != 0 ? mark : 1;
  }

 private:
  __attribute__((always_inline)) void mix() {
    hash_ = (hash_ ^ word_) * 0x9e3779b97f4a7c15;
    hash_ ^= hash_ >> 32;
  }
  std::uint64_t hash_ = 0x243f6a8885a308d3;
  std::uint64_t word_ = 0;
  std::uint64_t bytes_ = 0;
};

// Writes valid UTF-8 with a zero at its end, at most `most` bytes with it (`most` > 0), cut between
// characters. Surrogates, zeros and what is no character become U+FFFD. `to` null: nothing is written; `hash`
// may be null. The number of bytes with the zero; 0: unreadable.
SIPROF_SIGNAL_SAFE std::uint32_t text_to_utf8(const PythonText& text, std::uint32_t most, char* to,
                                              MarkHash* hash);

}  // namespace siprof::shim
