// SPDX-License-Identifier: Apache-2.0
// Wrappers of calls by which the app starts to use a signal that may be ours: ticks
// move to another one. "Every signal" is not such a use: there ours is left out.
#include <errno.h>

#include "shim/core/signal.h"
#include "shim/io_waits.h"
#include "shim/real.h"

namespace siprof::shim {
namespace {

// A set that names at most this many signals means them; more is a blanket.
constexpr int kNamedSignals = 8;

// The set the kernel gets: signals that aren't the app's taken out of a blanket.
sigset_t without_ours(const sigset_t& set) {
  sigset_t out = set;
  auto& bits = reinterpret_cast<sys::SignalSet&>(out);
  const int current = current_signal();
  if (current == 0 || (bits & sys::signal_bit(current)) == 0) return out;
  if (__builtin_popcountll(bits) <= kNamedSignals && leave_signal(current)) return out;
  bits &= ~sys::signal_bit(current);
  return out;
}

}  // namespace
}  // namespace siprof::shim

using namespace siprof;
using namespace siprof::shim;

int siprof_sigwait(const sigset_t* set, int* signal) {
  if (set == nullptr) return real::sigwait(set, signal);
  const sigset_t kernel = without_ours(*set);
  const Wait wait = begin_wait();
  const int result = real::sigwait(&kernel, signal);  // goes on by itself after any handler
  end_wait(wait, IoCall::k_sigwait, kNoDescriptor, 0);
  return result;
}

int siprof_sigwaitinfo(const sigset_t* set, siginfo_t* info) {
  if (set == nullptr) return real::sigwaitinfo(set, info);
  const sigset_t kernel = without_ours(*set);
  const Wait wait = begin_wait();
  int result = real::sigwaitinfo(&kernel, info);
  while (result < 0 && cut_short_by_us()) result = real::sigwaitinfo(&kernel, info);
  end_wait(wait, IoCall::k_sigwait, kNoDescriptor, 0);
  return result;
}

int siprof_sigtimedwait(const sigset_t* set, siginfo_t* info, const struct timespec* timeout) {
  if (set == nullptr) return real::sigtimedwait(set, info, timeout);
  const sigset_t kernel = without_ours(*set);
  Wait wait = begin_wait();
  int result = real::sigtimedwait(&kernel, info, timeout);
  while (result < 0 && cut_short_by_us()) {
    timespec left{};
    if (timeout != nullptr) left = timespec_of(time_left_ns(&wait, limit_of(*timeout)));
    result = real::sigtimedwait(&kernel, info, timeout != nullptr ? &left : nullptr);
  }
  end_wait(wait, IoCall::k_sigwait, kNoDescriptor, 0);
  return result;
}

int siprof_signalfd(int fd, const sigset_t* set, int flags) {
  if (set == nullptr) return real::signalfd(fd, set, flags);
  const sigset_t kernel = without_ours(*set);
  return real::signalfd(fd, &kernel, flags);
}

int siprof_setitimer(int which, const struct itimerval* set, struct itimerval* old) {
  const bool starts = set != nullptr && (set->it_value.tv_sec != 0 || set->it_value.tv_usec != 0);
  if (starts && which == ITIMER_PROF) leave_signal(SIGPROF);
  if (starts && which == ITIMER_VIRTUAL) leave_signal(SIGVTALRM);
  return real::setitimer(which, set, old);
}

int siprof_timer_create(clockid_t clock, struct sigevent* event, timer_t* timer) {
  const bool names_signal =
      event != nullptr && (event->sigev_notify == SIGEV_SIGNAL || event->sigev_notify == SIGEV_THREAD_ID);
  if (names_signal && event->sigev_signo == current_signal()) leave_signal(event->sigev_signo);
  return real::timer_create(clock, event, timer);
}

// libc's own profiler (gcc -pg) takes SIGPROF inside of libc, where no wrapper sees it.
int siprof_profil(unsigned short* buffer, size_t bytes, size_t offset, unsigned scale) {
  if (buffer != nullptr) leave_signal(SIGPROF);
  return real::profil(buffer, bytes, offset, scale);
}
int siprof_sprofil(struct prof* profiles, int count, struct timeval* interval, unsigned flags) {
  if (count != 0) leave_signal(SIGPROF);
  return real::sprofil(profiles, count, interval, flags);
}
void siprof_monstartup(unsigned long low, unsigned long high) {
  leave_signal(SIGPROF);
  real::monstartup(low, high);
}
void siprof___monstartup(unsigned long low, unsigned long high) {
  leave_signal(SIGPROF);
  real::__monstartup(low, high);
}
