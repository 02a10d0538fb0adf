// SPDX-License-Identifier: Apache-2.0
// Wrappers of prctl and syscall, by which a program filters its system calls or becomes
// one that orphans come to: what we need of the kernel, we do before that. Or takes a
// signal that the fault guard stands in front of.
#include <errno.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <atomic>

#include "shim/core/attach.h"
#include "shim/core/fault_guard.h"
#include "shim/core/sandbox.h"
#include "shim/real.h"

namespace siprof::shim {
namespace {

// By prctl, whoever calls it.
bool takes_the_clock(unsigned long option, unsigned long value) {
  return (option == PR_SET_TSC && value == PR_TSC_SIGSEGV) ||
         (option == PR_SET_SECCOMP && value == SECCOMP_MODE_STRICT);
}

template <typename Call>
long with_filter(Call install) {
  const bool prepared = prepare_for_filter();
  const long result = install();
  if (prepared && result < 0) forget_filter();
  return result;
}

}  // namespace
}  // namespace siprof::shim

using namespace siprof;
using namespace siprof::shim;

// libc's own reads four arguments, too, whatever there were.
int siprof_prctl(int option, ...) {
  va_list list;
  va_start(list, option);
  const auto a = va_arg(list, unsigned long);
  const auto b = va_arg(list, unsigned long);
  const auto c = va_arg(list, unsigned long);
  const auto d = va_arg(list, unsigned long);
  va_end(list);
  const auto call = [=] { return static_cast<long>(real::prctl(option, a, b, c, d)); };
  // Before orphans come here: the agent is none of them then, and needs nobody in between.
  if (option == PR_SET_CHILD_SUBREAPER && a != 0) attach_as_reaper();
  if (takes_the_clock(static_cast<unsigned long>(option), a)) {
    stop_without_clock();
    return static_cast<int>(call());
  }
  return static_cast<int>(option == PR_SET_SECCOMP ? with_filter(call) : call());
}

// Where `syscall` (jumps.S) goes on to: libc's, once it is known.
extern "C" {
__attribute__((visibility("hidden"))) constinit std::atomic<void*> siprof_next_syscall{nullptr};
}

// The calls among them that matter, and the first of all. Its arguments lie where those of
// the variadic syscall do: all are integers.
extern "C" __attribute__((visibility("hidden"))) long siprof_watched_syscall(long number, long a, long b,
                                                                             long c, long d, long e, long f) {
  siprof_next_syscall.store(reinterpret_cast<void*>(real::syscall.get()), std::memory_order_relaxed);
  const auto call = [=] { return real::syscall(number, a, b, c, d, e, f); };
  if (number == SYS_rt_sigaction) {
    const bool is_ours = d == sizeof(sys::SignalSet) && is_guarded(static_cast<int>(a));
    const long result = is_ours ? fault_sigaction_at(static_cast<int>(a), static_cast<std::uint64_t>(b),
                                                     static_cast<std::uint64_t>(c))
                                : call();
    if (!is_ours || result == 0) return result;
    errno = static_cast<int>(-result);
    return -1;
  }
  if ((number == SYS_prctl &&
       takes_the_clock(static_cast<unsigned long>(a), static_cast<unsigned long>(b))) ||
      (number == SYS_seccomp && a == SECCOMP_SET_MODE_STRICT)) {
    stop_without_clock();
    return call();
  }
  const bool filters =
      (number == SYS_seccomp && a == SECCOMP_SET_MODE_FILTER) || (number == SYS_prctl && a == PR_SET_SECCOMP);
  if (number == SYS_prctl && a == PR_SET_CHILD_SUBREAPER && b != 0) attach_as_reaper();
  return filters ? with_filter(call) : call();
}
