// SPDX-License-Identifier: Apache-2.0
// Wrappers of calls that wait and that the kernel never restarts after a signal: they go on after our tick
// with the time that is left. Compiled with exceptions, which is how a cancelled thread leaves the real call.
#include <errno.h>

#include "shim/io_waits.h"
#include "shim/real.h"

using namespace siprof;
using namespace siprof::shim;

namespace {

// A wait for one descriptor is told by it, once the array has proved to be readable.
int only_one(const struct pollfd* fds, nfds_t count, int result) {
  return count == 1 && result >= 0 ? fds[0].fd : kNoDescriptor;
}

constexpr std::uint64_t ns_of_ms(int ms) {
  return static_cast<std::uint64_t>(ms) * 1'000'000;
}
// Rounded up: a wait may be longer than asked for, not shorter.
constexpr int ms_of_ns(std::uint64_t ns) {
  return static_cast<int>((ns + 999'999) / 1'000'000);
}

template <typename Call>
__attribute__((always_inline)) inline int poll_until(struct pollfd* fds, nfds_t count, int limit_ms,
                                                     Call call) {
  if (passes_through()) return call();
  Wait wait = begin_wait();
  int result = call();
  while (SIPROF_UNLIKELY(result < 0) && cut_short_by_us()) {
    if (limit_ms < 0) {
      result = call();
    } else {
      const timespec left = timespec_of(time_left_ns(&wait, ns_of_ms(limit_ms)));
      result = real::ppoll(fds, count, &left, nullptr);
    }
  }
  end_wait(wait, IoCall::k_poll, only_one(fds, count, result), 0);
  return result;
}

// call(limit): a call whose limit may be another one the next time.
template <typename Call>
__attribute__((always_inline)) inline int wait_until(const struct timespec* limit, Wait* wait, Call call) {
  timespec left;
  int result = call(limit);
  while (SIPROF_UNLIKELY(result < 0) && cut_short_by_us()) {
    if (limit != nullptr) left = timespec_of(time_left_ns(wait, limit_of(*limit)));
    result = call(limit != nullptr ? &left : nullptr);
  }
  return result;
}

template <typename Call>
__attribute__((always_inline)) inline auto wait_for_ever(IoCall id, long moved, Call call) {
  Wait wait = begin_wait();
  auto result = call();
  while (SIPROF_UNLIKELY(result < 0) && cut_short_by_us()) result = call();
  end_wait(wait, id, kNoDescriptor, moved == 0 ? 0 : static_cast<long>(result));
  return result;
}

}  // namespace

int siprof_poll(struct pollfd* fds, nfds_t count, int limit_ms) {
  return poll_until(fds, count, limit_ms, [=] { return real::poll(fds, count, limit_ms); });
}
int siprof___poll_chk(struct pollfd* fds, nfds_t count, int limit_ms, size_t room) {
  return poll_until(fds, count, limit_ms, [=] { return real::__poll_chk(fds, count, limit_ms, room); });
}
int siprof_ppoll(struct pollfd* fds, nfds_t count, const struct timespec* limit, const sigset_t* mask) {
  if (passes_through()) return real::ppoll(fds, count, limit, mask);
  Wait wait = begin_wait();
  const int result = wait_until(limit, &wait, [=](auto left) { return real::ppoll(fds, count, left, mask); });
  end_wait(wait, IoCall::k_poll, only_one(fds, count, result), 0);
  return result;
}
int siprof___ppoll_chk(struct pollfd* fds, nfds_t count, const struct timespec* limit, const sigset_t* mask,
                       size_t room) {
  if (passes_through()) return real::__ppoll_chk(fds, count, limit, mask, room);
  Wait wait = begin_wait();
  const int result =
      wait_until(limit, &wait, [=](auto left) { return real::__ppoll_chk(fds, count, left, mask, room); });
  end_wait(wait, IoCall::k_poll, only_one(fds, count, result), 0);
  return result;
}

// Linux leaves in `limit` what was left of it.
int siprof_select(int count, fd_set* in, fd_set* out, fd_set* other, struct timeval* limit) {
  if (passes_through()) return real::select(count, in, out, other, limit);
  Wait wait = begin_wait();
  const std::uint64_t limit_ns =
      limit == nullptr ? 0 : limit_of({limit->tv_sec, static_cast<long>(limit->tv_usec) * 1'000});
  int result = real::select(count, in, out, other, limit);
  while (SIPROF_UNLIKELY(result < 0) && cut_short_by_us()) {
    if (limit != nullptr) {
      const timespec left = timespec_of(time_left_ns(&wait, limit_ns));
      *limit = {left.tv_sec, left.tv_nsec / 1'000};
    }
    result = real::select(count, in, out, other, limit);
  }
  end_wait(wait, IoCall::k_select, kNoDescriptor, 0);
  return result;
}
int siprof_pselect(int count, fd_set* in, fd_set* out, fd_set* other, const struct timespec* limit,
                   const sigset_t* mask) {
  if (passes_through()) return real::pselect(count, in, out, other, limit, mask);
  Wait wait = begin_wait();
  const int result =
      wait_until(limit, &wait, [=](auto left) { return real::pselect(count, in, out, other, left, mask); });
  end_wait(wait, IoCall::k_select, kNoDescriptor, 0);
  return result;
}

int siprof_epoll_wait(int fd, struct epoll_event* events, int count, int limit_ms) {
  if (passes_through()) return real::epoll_wait(fd, events, count, limit_ms);
  Wait wait = begin_wait();
  int result = real::epoll_wait(fd, events, count, limit_ms);
  while (SIPROF_UNLIKELY(result < 0) && cut_short_by_us()) {
    const int left_ms = limit_ms < 0 ? limit_ms : ms_of_ns(time_left_ns(&wait, ns_of_ms(limit_ms)));
    result = real::epoll_wait(fd, events, count, left_ms);
  }
  end_wait(wait, IoCall::k_epoll_wait, fd, 0);
  return result;
}
int siprof_epoll_pwait(int fd, struct epoll_event* events, int count, int limit_ms, const sigset_t* mask) {
  if (passes_through()) return real::epoll_pwait(fd, events, count, limit_ms, mask);
  Wait wait = begin_wait();
  int result = real::epoll_pwait(fd, events, count, limit_ms, mask);
  while (SIPROF_UNLIKELY(result < 0) && cut_short_by_us()) {
    const int left_ms = limit_ms < 0 ? limit_ms : ms_of_ns(time_left_ns(&wait, ns_of_ms(limit_ms)));
    result = real::epoll_pwait(fd, events, count, left_ms, mask);
  }
  end_wait(wait, IoCall::k_epoll_wait, fd, 0);
  return result;
}
int siprof_epoll_pwait2(int fd, struct epoll_event* events, int count, const struct timespec* limit,
                        const sigset_t* mask) {
  if (real::epoll_pwait2.get() == nullptr) {
    errno = ENOSYS;  // older libc: the app's own probe of it would have failed as well
    return -1;
  }
  Wait wait = begin_wait();
  const int result =
      wait_until(limit, &wait, [=](auto left) { return real::epoll_pwait2(fd, events, count, left, mask); });
  end_wait(wait, IoCall::k_epoll_wait, fd, 0);
  return result;
}

// The kernel says what is left, more exactly than a clock here could.
int siprof_nanosleep(const struct timespec* time, struct timespec* left) {
  if (passes_through()) return real::nanosleep(time, left);
  Wait wait = begin_wait();
  timespec own;
  timespec* const rest = left != nullptr ? left : &own;
  int result = real::nanosleep(time, rest);
  while (SIPROF_UNLIKELY(result < 0) && cut_short_by_us()) {
    const timespec again = *rest;
    result = real::nanosleep(&again, rest);
  }
  end_wait(wait, IoCall::k_nanosleep, kNoDescriptor, 0);
  return result;
}
// Returns the error instead of setting errno.
int siprof_clock_nanosleep(clockid_t clock, int flags, const struct timespec* time, struct timespec* left) {
  if (passes_through()) return real::clock_nanosleep(clock, flags, time, left);
  Wait wait = begin_wait();
  timespec own;
  const bool until = (flags & TIMER_ABSTIME) != 0;
  timespec* const rest = left != nullptr || until ? left : &own;
  int result = real::clock_nanosleep(clock, flags, time, rest);
  while (SIPROF_UNLIKELY(result == EINTR) && take_own_interruption(t_thread)) {
    if (until) {
      result = real::clock_nanosleep(clock, flags, time, rest);
    } else {
      const timespec again = *rest;
      result = real::clock_nanosleep(clock, flags, &again, rest);
    }
  }
  end_wait(wait, IoCall::k_nanosleep, kNoDescriptor, 0);
  return result;
}
int siprof_usleep(useconds_t us) {
  Wait wait = begin_wait();
  int result = real::usleep(us);
  while (SIPROF_UNLIKELY(result < 0) && cut_short_by_us()) {
    const timespec left = timespec_of(time_left_ns(&wait, std::uint64_t{us} * 1'000));
    result = real::nanosleep(&left, nullptr);
  }
  end_wait(wait, IoCall::k_nanosleep, kNoDescriptor, 0);
  return result;
}
// It answers whole seconds, so that 0 may mean that it was interrupted in the last one.
unsigned siprof_sleep(unsigned seconds) {
  Wait wait = begin_wait();
  const int error = errno;
  unsigned result = real::sleep(seconds);
  while (SIPROF_UNLIKELY(take_own_interruption(t_thread))) {
    timespec left = timespec_of(time_left_ns(&wait, std::uint64_t{seconds} * 1'000'000'000));
    if (real::nanosleep(&left, &left) == 0) {
      result = 0;
      errno = error;
    } else {
      result = static_cast<unsigned>(left.tv_sec);
    }
  }
  end_wait(wait, IoCall::k_nanosleep, kNoDescriptor, 0);
  return result;
}

int siprof_pause() {
  return wait_for_ever(IoCall::k_pause, 0, [] { return real::pause(); });
}
int siprof_sigsuspend(const sigset_t* mask) {
  return wait_for_ever(IoCall::k_pause, 0, [=] { return real::sigsuspend(mask); });
}

ssize_t siprof_msgrcv(int queue, void* message, size_t size, long type, int flags) {
  return wait_for_ever(IoCall::k_msgrcv, 1, [=] { return real::msgrcv(queue, message, size, type, flags); });
}
int siprof_msgsnd(int queue, const void* message, size_t size, int flags) {
  return wait_for_ever(IoCall::k_msgsnd, 0, [=] { return real::msgsnd(queue, message, size, flags); });
}
int siprof_semop(int set, struct sembuf* operations, size_t count) {
  return wait_for_ever(IoCall::k_semop, 0, [=] { return real::semop(set, operations, count); });
}
int siprof_semtimedop(int set, struct sembuf* operations, size_t count, const struct timespec* limit) {
  Wait wait = begin_wait();
  const int result =
      wait_until(limit, &wait, [=](auto left) { return real::semtimedop(set, operations, count, left); });
  end_wait(wait, IoCall::k_semop, kNoDescriptor, 0);
  return result;
}
