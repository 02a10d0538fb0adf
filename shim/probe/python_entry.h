// SPDX-License-Identifier: Apache-2.0
// The way into the interpreter: what is set up in there (python_setup.h) runs as a pending call of its own,
// in its main thread and with its lock. A call that the program makes asks for it, never a signal handler.
#pragma once

#include "shim/base/attrs.h"
#include "shim/core/python_view.h"

namespace siprof::shim {

// The rest of let_python_in(). Context: as there.
void enter_python();

// In the wrappers of what every interpreter calls before the program's first line: a load where there is
// nothing to do. Context: any thread, where the program calls libc. Keeps errno.
__attribute__((always_inline)) inline void let_python_in() {
  if (SIPROF_UNLIKELY(g_python_news.load(std::memory_order_relaxed) != 0)) enter_python();
}

// There is something to be set up again. Context: any thread.
void ask_for_python_again();

// Whoever was at it isn't in the child. Context: child of a fork.
void forget_python_entry();

}  // namespace siprof::shim
