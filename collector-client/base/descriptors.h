// SPDX-License-Identifier: Apache-2.0
// How close the program is to its limit on open files. The agent asks before it keeps a
// descriptor for somebody else: the last ones are for itself (gRPC ends a program that
// gets none).
#pragma once

#include <sys/resource.h>

#include <algorithm>

namespace siprof::client {

// True: `fd`, just opened, is one of the last that the limit allows. Numbers are given out
// from the lowest, so that it tells how many are open.
inline bool is_reserved_descriptor(int fd) {
  constexpr rlim_t kReserve = 64;
  rlimit limit{};
  if (fd < 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  return static_cast<rlim_t>(fd) + std::min(kReserve, limit.rlim_cur / 4) >= limit.rlim_cur;
}

}  // namespace siprof::client
