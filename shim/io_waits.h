// SPDX-License-Identifier: Apache-2.0
// What the wrappers of blocking calls share: they time a call, and go on with one that our tick has cut
// short. Nothing here has a destructor: a cancelled thread leaves from the middle of the call.
//
//   Wait wait = begin_wait();
//   int result = real::poll(…);
//   while (result < 0 && cut_short_by_us()) result = real::ppoll(…, time_left(wait, limit_ns), …);
//   end_wait(wait, IoCall::k_poll, fd, 0);
#pragma once

#include <time.h>

#include <cstdint>

#include "shim/core/hook.h"
#include "shim/core/interruption.h"
#include "shim/core/stopwatch.h"
#include "shim/probe/io.h"

namespace siprof::shim {

struct Wait {
  Stopwatch watch;
  std::uint64_t deadline_ns;  // 0: not asked for yet
  bool timed;                 // a kind that asks for it is on
};

// Nothing is to be done but the call: by a jump, because one more return from a system call is mispredicted
// (9 ns).
__attribute__((always_inline)) inline bool passes_through() {
  return !calls_are_timed() && !g_ticks_interrupt;
}

__attribute__((always_inline)) inline Wait begin_wait() {
  const bool timed = calls_are_timed();
  expect_interruption(t_thread);
  return {timed ? begin_call() : Stopwatch{}, 0, timed};
}

__attribute__((always_inline)) inline void end_wait(const Wait& wait, IoCall call, int fd, long bytes) {
  if (wait.timed) note_io(call, fd, wait.watch, bytes);
}

// The call that has just failed with EINTR was interrupted by our tick alone. Keeps errno.
bool cut_short_by_us();

// Of a call that may take so long. Where it isn't timed it began now: a CPU timer interrupts threads that
// run, so what it cuts short has only just begun. Keeps errno.
std::uint64_t time_left_ns(Wait* wait, std::uint64_t limit_ns);

inline constexpr std::uint64_t kLongestLimitNs = std::uint64_t{1} << 62;

constexpr std::uint64_t limit_of(const timespec& limit) {
  if (limit.tv_sec < 0) return 0;
  if (static_cast<std::uint64_t>(limit.tv_sec) >= kLongestLimitNs / 1'000'000'000) return kLongestLimitNs;
  return static_cast<std::uint64_t>(limit.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(limit.tv_nsec);
}
constexpr timespec timespec_of(std::uint64_t ns) {
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

// A call on a socket has failed: whether to make it again, because our tick has cut it short, its time limit
// isn't over and the socket is ready by now. Else errno says why not, as the call alone would have.
enum class SocketWait { kIn, kOut, kConnect };
bool call_again(Wait* wait, int fd, SocketWait what);

}  // namespace siprof::shim
