// SPDX-License-Identifier: Apache-2.0
// Exceptions that nobody catches: those that come to sys.excepthook, sys.unraisablehook and
// threading.excepthook as the interpreter has them. Stand-ins are in the place of the three, so that a
// program that sets its own has it called, and one that calls on is seen. Context: a thread with the
// interpreter's lock.
#pragma once

namespace siprof::shim {

void watch_unhandled();
void forget_unhandled();  // the interpreter has ended

}  // namespace siprof::shim
