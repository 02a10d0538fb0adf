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

// Before a thread of this process has no clock any more: reading one is a fault then (PR_SET_TSC), which the
// strict mode of seccomp also brings. The process isn't profiled from here on. Context: any thread.
void stop_without_clock();

}  // namespace siprof::shim
