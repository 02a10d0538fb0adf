// SPDX-License-Identifier: Apache-2.0
// What the app has set for SIGSEGV and SIGBUS, while the fault guard stands in front: as the kernel would
// have it. Always whole, whoever changes it meanwhile.
#pragma once

#include "shim/base/attrs.h"
#include "shim/core/signal.h"

namespace siprof::shim {

// Context: signal handler, any thread; one at a time.
SIPROF_SIGNAL_SAFE void keep_fault_action(int signal, const KernelAction& action);
// Context: signal handler, any thread.
SIPROF_SIGNAL_SAFE KernelAction fault_action(int signal);
// The same for a signal that is there: a handler of SA_RESETHAND is for one of them.
SIPROF_SIGNAL_SAFE KernelAction take_fault_action(int signal);

// x86-64 has no other way back: without one the kernel makes no frame.
constexpr bool has_restorer(const KernelAction& action) {
  return (action.flags & kRestorerFlag) != 0;
}

}  // namespace siprof::shim
