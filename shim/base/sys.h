// SPDX-License-Identifier: Apache-2.0
// Raw system calls: can't be interposed, don't touch errno, aren't cancellation
// points. All return the kernel's value, -errno on failure.
// Context: signal handler, any thread, and the attach child that shares memory.
#pragma once

#include <linux/time_types.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include <cstddef>
#include <cstdint>

namespace siprof::shim::sys {

__attribute__((always_inline)) inline long call6(long number, long a, long b, long c, long d, long e,
                                                 long f) {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

template <typename T>
__attribute__((always_inline)) inline long word(T value) {
  if constexpr (requires { reinterpret_cast<long>(value); }) {
    return reinterpret_cast<long>(value);
  } else {
    return static_cast<long>(value);
  }
}
inline long word(std::nullptr_t) {
  return 0;
}

template <typename... Args>
__attribute__((always_inline)) inline long call(long number, Args... args) {
  static_assert(sizeof...(Args) <= 6);
  long words[6] = {word(args)...};
  return call6(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

__attribute__((always_inline)) inline std::int32_t thread_id() {
  return static_cast<std::int32_t>(call(SYS_gettid));
}

constexpr bool failed(long result) {
  return result < 0 && result > -4096;
}

// Zeroed memory of this process alone, or -errno.
__attribute__((always_inline)) inline long map_private(std::uint64_t bytes) {
  return call(SYS_mmap, nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
              -1, 0);
}

// The same for what stays: not the app's to have locked in memory, or in a core dump.
__attribute__((always_inline)) inline long map_aside(std::uint64_t bytes) {
  const long mapped = map_private(bytes);
  if (failed(mapped)) return mapped;
  call(SYS_munlock, mapped, bytes);
  call(SYS_madvise, mapped, bytes, MADV_DONTDUMP);
  return mapped;
}

// In nanoseconds. Not by the vDSO, which isn't there in every process.
__attribute__((always_inline)) inline std::uint64_t clock_ns(int clock) {
  timespec now{};
  call(SYS_clock_gettime, clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// The kernel's signal set: bit N-1 is signal N.
using SignalSet = std::uint64_t;
constexpr SignalSet signal_bit(int signal) {
  return SignalSet{1} << (signal - 1);
}

__attribute__((always_inline)) inline long change_mask(int how, const SignalSet* set, SignalSet* old) {
  return call(SYS_rt_sigprocmask, how, set, old, sizeof(SignalSet));
}

}  // namespace siprof::shim::sys
