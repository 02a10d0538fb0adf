// SPDX-License-Identifier: Apache-2.0
// What gcc and clang call around each access in code compiled with -fsanitize=thread; no runtime of theirs is
// linked.
#include "test/bench/counted_walk.h"

#include <utility>

namespace siprof::bench {
namespace {

std::set<std::uint64_t> g_lines;

void touch(const volatile void* start, std::size_t bytes) {
  const auto first = reinterpret_cast<std::uintptr_t>(start);
  for (std::uintptr_t line = first / 64; line <= (first + bytes - 1) / 64; ++line) g_lines.insert(line);
}

}  // namespace

std::set<std::uint64_t> take_touched_lines() {
  return std::exchange(g_lines, {});
}

}  // namespace siprof::bench

using siprof::bench::touch;

extern "C" {

#define HOOKS(bytes)                             \
  void __tsan_read##bytes(void* at) {            \
    touch(at, bytes);                            \
  }                                              \
  void __tsan_write##bytes(void* at) {           \
    touch(at, bytes);                            \
  }                                              \
  void __tsan_unaligned_read##bytes(void* at) {  \
    touch(at, bytes);                            \
  }                                              \
  void __tsan_unaligned_write##bytes(void* at) { \
    touch(at, bytes);                            \
  }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

void __tsan_read_range(void* at, std::size_t bytes) {
  touch(at, bytes);
}
void __tsan_write_range(void* at, std::size_t bytes) {
  touch(at, bytes);
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}

#define ATOMIC_HOOKS(bits)                                                                             \
  std::uint##bits##_t __tsan_atomic##bits##_load(const volatile std::uint##bits##_t* at, int) {        \
    touch(at, sizeof *at);                                                                             \
    return __atomic_load_n(at, __ATOMIC_RELAXED);                                                      \
  }                                                                                                    \
  void __tsan_atomic##bits##_store(volatile std::uint##bits##_t* at, std::uint##bits##_t value, int) { \
    touch(at, sizeof *at);                                                                             \
    __atomic_store_n(at, value, __ATOMIC_RELAXED);                                                     \
  }
ATOMIC_HOOKS(32)
ATOMIC_HOOKS(64)
}
