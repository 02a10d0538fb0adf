// SPDX-License-Identifier: Apache-2.0
// The CPU probe: what happens when a thread has used one more period of CPU time.
#pragma once

#include <signal.h>

#include "shim/base/attrs.h"

namespace siprof::shim {

// The handler of our signal. Context: signal handler, any thread, any instruction of
// the app, inside malloc and the loader too. Signals that aren't our ticks go on to
// the app.
SIPROF_SIGNAL_SAFE void on_tick(int signal, siginfo_t* info, void* context);

}  // namespace siprof::shim
