// SPDX-License-Identifier: Apache-2.0
// Runs something many frames deep, below functions with frames of several sizes that call each other in turn:
// a stack like a program's own, where a recursion would be one function's.
#pragma once

#include <array>
#include <functional>
#include <utility>

namespace siprof::bench {

using Body = std::function<void()>;
using Level = int(int levels, const Body& body);
inline constexpr int kLevelFunctions = 32;
template <int kFunction>
Level level;

template <std::size_t... kFunction>
std::array<Level* volatile, kLevelFunctions> all_levels(std::index_sequence<kFunction...>) {
  return {level<kFunction>...};
}
// Volatile: which function is called isn't known where it is compiled, so that none is inlined.
inline std::array<Level* volatile, kLevelFunctions> g_levels =
    all_levels(std::make_index_sequence<kLevelFunctions>{});

template <int kFunction>
__attribute__((noinline)) int level(int levels, const Body& body) {
  volatile char frame[16 + 16 * (kFunction % 7)];
  frame[0] = static_cast<char>(levels);
  if (levels == 0) {
    body();
  } else {
    frame[0] = static_cast<char>(g_levels[(kFunction + 1) % kLevelFunctions](levels - 1, body));
  }
  return frame[0] + 1;
}

// `body` has levels + 1 frames of these above it.
inline void run_deep(int levels, const Body& body) {
  volatile int result = g_levels[0](levels, body);
  static_cast<void>(result);
}

}  // namespace siprof::bench
