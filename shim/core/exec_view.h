// SPDX-License-Identifier: Apache-2.0
// What a new program inherits: the app's own view of masks and actions, not ours. Used by the
// wrappers of exec and spawn, and of masks and actions between vfork and exec.
#pragma once

#include "shim/base/attrs.h"
#include "shim/base/sys.h"
#include "shim/core/signal.h"
#include "shim/core/thread.h"

namespace siprof::shim {

// Blocks and ignores in the kernel what the app believes is blocked and ignored,
// for the life of the object: what exec and spawn hand on. Costs two system calls
// when there is a difference, else none.
class AppViewForExec {
 public:
  AppViewForExec();
  ~AppViewForExec();
  AppViewForExec(const AppViewForExec&) = delete;
  AppViewForExec& operator=(const AppViewForExec&) = delete;

 private:
  sys::SignalSet blocked_;
  sys::SignalSet ignored_;  // of the candidates, and of those that the fault guard stands in front of
};

// Between vfork and exec a child runs in its parent's memory: what it changes of its mask and its
// actions is for the kernel alone. The first change makes real there what the app believes is
// blocked; the thread, which its parent's thread waits for, remembers the child.
void follow_into_vfork(ThreadState& thread);
SIPROF_SIGNAL_SAFE bool is_vforked(const ThreadState& thread);
// sigaction(2) there, where the memory is the parent's: only the kernel's action changes.
long vforked_sigaction(int signal, const KernelAction* set, KernelAction* old);

}  // namespace siprof::shim
