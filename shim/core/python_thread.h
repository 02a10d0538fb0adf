// SPDX-License-Identifier: Apache-2.0
// Which PyThreadState belongs to the running thread.
#pragma once

#include <cstdint>

#include "shim/base/attrs.h"
#include "shim/core/python_view.h"
#include "shim/core/thread.h"

namespace siprof::shim {

struct PythonStates {
  std::uint64_t own;      // the thread's, also while another thread has the GIL; 0: it has none
  std::uint64_t current;  // of who has the GIL, where a version says so
};

// Asks the interpreter, which must be mapped. Context: signal handler, a hook; the thread has a slot.
SIPROF_SIGNAL_SAFE PythonStates ask_for_states(const Interpreter& interpreter, const ThreadState& thread);

// The one to walk, 0: what was told is not this thread's. `released`: the thread doesn't have the GIL.
// Context: signal handler, a hook; the fault guard is in force and the window open.
SIPROF_SIGNAL_SAFE std::uint64_t check_states(const PythonLayout& layout, const ThreadState& thread,
                                              const PythonStates& states, bool* released);

}  // namespace siprof::shim
