// SPDX-License-Identifier: Apache-2.0
// Programs that filter their own system calls (seccomp) may be killed for one that we
// make. So we attach before their filter is on, and make none afterwards: samples go on
// into the memory that there is, at the rate of that moment.
#pragma once

namespace siprof::shim {

// Attaches if that is due, then lets go of system calls. False: there is nothing to undo,
// this process isn't profiled, or it is the child of a vfork, whose memory isn't its own.
// Context: any thread, before seccomp(2).
bool prepare_for_filter();

// The filter wasn't installed after all.
void forget_filter();

}  // namespace siprof::shim
