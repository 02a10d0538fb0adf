// SPDX-License-Identifier: Apache-2.0
// A child that shares the app's memory and nothing else of it: what needs a descriptor for a moment is
// done there.
#pragma once

#include "shim/base/attrs.h"

namespace siprof::shim {

// What `run` returns. Its result is where its argument says.
inline constexpr int kChildRan = 0;

// Calls run(argument) in a child with a descriptor table of its own, on the stack that ends at
// `stack_top`, and waits for it. `run` makes raw system calls only. False: there was no child.
// Context: signal handler, all signals blocked, under Process::attaching.
SIPROF_SIGNAL_SAFE bool run_in_child(int (*run)(void*), void* argument, char* stack_top);

}  // namespace siprof::shim
