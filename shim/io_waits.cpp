// SPDX-License-Identifier: Apache-2.0
#include "shim/io_waits.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "shim/base/sys.h"
#include "shim/real.h"

namespace siprof::shim {
namespace {

// SO_RCVTIMEO or SO_SNDTIMEO; 0: none, or no socket.
std::uint64_t socket_limit_ns(int fd, SocketWait what) {
  timeval limit{};
  socklen_t bytes = sizeof(limit);
  const int option = what == SocketWait::kIn ? SO_RCVTIMEO : SO_SNDTIMEO;
  if (sys::call(SYS_getsockopt, fd, SOL_SOCKET, option, &limit, &bytes) != 0) return 0;
  return static_cast<std::uint64_t>(limit.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(limit.tv_usec) * 1'000;
}

int late_error(int fd, SocketWait what) {
  int family = 0;
  socklen_t bytes = sizeof(family);
  if (what != SocketWait::kConnect) return EAGAIN;
  sys::call(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, &family, &bytes);
  return family == AF_UNIX ? EAGAIN : EINPROGRESS;  // the connection goes on by itself
}

}  // namespace

__attribute__((noinline)) bool cut_short_by_us() {
  return errno == EINTR && take_own_interruption(t_thread);
}

std::uint64_t time_left_ns(Wait* wait, std::uint64_t limit_ns) {
  const std::uint64_t now = monotonic_ns();
  if (wait->deadline_ns == 0) {
    const std::uint64_t passed = wait->timed ? elapsed_ns(wait->watch) : 0;
    wait->deadline_ns = now - passed + limit_ns;
  }
  return wait->deadline_ns > now ? wait->deadline_ns - now : 0;
}

__attribute__((noinline)) bool call_again(Wait* wait, int fd, SocketWait what) {
  while (cut_short_by_us()) {
    const std::uint64_t limit_ns = socket_limit_ns(fd, what);
    if (limit_ns == 0) return true;
    const std::uint64_t left_ns = time_left_ns(wait, limit_ns);
    pollfd ready{fd, static_cast<short>(what == SocketWait::kIn ? POLLIN : POLLOUT), 0};
    const timespec left = timespec_of(left_ns);
    const int result = left_ns == 0 ? 0 : real::ppoll(&ready, 1, &left, nullptr);
    if (result > 0) return true;
    if (result == 0) {
      errno = late_error(fd, what);
      return false;
    }
  }
  return false;
}

}  // namespace siprof::shim
