// SPDX-License-Identifier: Apache-2.0
#include "shim/core/child.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cstdint>

#include "shim/base/arch.h"
#include "shim/base/sys.h"

namespace siprof::shim {
namespace {

constexpr int kCloseRange = 436;  // since Linux 5.9

// Leaves the app's table for an empty one, without a copy in between: that would keep
// files and sockets open that the app closes meanwhile, and costs by their number.
SIPROF_SIGNAL_SAFE bool leave_descriptors_of_app() {
  constexpr unsigned kUnshare = 1u << 1;  // CLOSE_RANGE_UNSHARE
  return sys::call(kCloseRange, 0, ~0u, kUnshare) == 0;
}

// Before Linux 5.9 the child's descriptors are copies of the app's, of which it needs
// none: under a tight limit they go. The app's own stay open.
SIPROF_SIGNAL_SAFE void make_room_for_descriptors() {
  constexpr std::uint64_t kTight = 64;
  rlimit64 limit{};
  if (sys::call(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, &limit) != 0 || limit.rlim_cur > kTight) return;
  if (sys::call(kCloseRange, 0, ~0u, 0) == 0) return;
  for (std::uint64_t fd = 0; fd < limit.rlim_cur; ++fd) sys::call(SYS_close, fd);
}

struct Call {
  int (*run)(void*);
  void* argument;
  bool shares_descriptors;  // made with CLONE_FILES: the table is the app's until the child has left it
};

constexpr int kCanNotUnshare = 1;  // nothing was done: it needs a copy of the descriptors

constinit bool g_can_unshare = true;  // under the attach lock: no kernel before Linux 5.9 has refused to yet

SIPROF_SIGNAL_SAFE int enter(void* argument) {
  const auto* call = static_cast<const Call*>(argument);
  // Before anything else: what is opened or closed until then would be the app's.
  if (call->shares_descriptors && !leave_descriptors_of_app()) return kCanNotUnshare;
  if (!call->shares_descriptors) make_room_for_descriptors();
  return call->run(call->argument);
}

}  // namespace

bool run_in_child(int (*run)(void*), void* argument, char* stack_top) {
  // CLONE_FILES only until its first call, which leaves the table. Exit signal 0: no SIGCHLD,
  // and only __WCLONE waits see it. VFORK: it is gone, or has failed, when clone returns.
  Call call{run, argument, g_can_unshare};
  for (;; call.shares_descriptors = false) {
    const unsigned long files = call.shares_descriptors ? CLONE_FILES : 0;
    const long child = siprof_clone(CLONE_VM | CLONE_VFORK | CLONE_UNTRACED | files, stack_top, enter, &call);
    if (sys::failed(child)) return false;
    int status = 0;
    sys::call(SYS_wait4, child, &status, __WCLONE, nullptr);
    if (!WIFEXITED(status)) return false;
    if (WEXITSTATUS(status) == kChildRan) return true;
    if (!call.shares_descriptors) return false;
    g_can_unshare = false;
  }
}

}  // namespace siprof::shim
