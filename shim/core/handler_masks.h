// SPDX-License-Identifier: Apache-2.0
// Which of the signals that may be ours the app named in the masks of its handlers. The
// kernel has the mask without the signal that ticks arrive by; the app reads back its own,
// and gets it for real when ticks leave that signal.
#pragma once

#include "shim/base/attrs.h"
#include "shim/base/sys.h"

namespace siprof::shim {

// Remembers the app's mask for `signal`'s handler and returns the one for the kernel. A
// handler on an alternate stack runs with our signal blocked: a tick might not fit there.
// Context: any thread.
sys::SignalSet handler_mask_for(int signal, sys::SignalSet app_mask, bool on_alternate_stack);

// The mask that the app reads back. Context: any thread.
sys::SignalSet app_handler_mask(int signal, sys::SignalSet kernel_mask);

// Makes the kernel's masks fit the signal that ticks arrive by now. Under the lock of signal.cpp.
SIPROF_SIGNAL_SAFE void refresh_handler_masks();

// True where a handler on an alternate stack was ever installed: a longjmp out of one must
// open our signal again.
bool has_alternate_stack_handlers();

}  // namespace siprof::shim
