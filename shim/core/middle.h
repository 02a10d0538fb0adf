// SPDX-License-Identifier: Apache-2.0
// The process between an app that orphans come to (pid 1, a subreaper) and its agent: the
// agent's parent instead of the app. It never execs, so its exit signal stays 0 and the
// app's waits don't see it. Being a fork it starts with a copy of the app, and it has to
// stay until the app ends: once the app has exec'ed, the kernel announces the end of a
// child from before by SIGCHLD, whatever its exit signal (do_notify_parent).
#pragma once

#include <cstdint>

#include "shim/base/attrs.h"

namespace siprof::shim {

// Unmaps everything but this library and [stack, stack + bytes): what the app had in
// memory would stay twice, from its next writes on.
// Context: the middle process, running on that stack; raw system calls only from here on.
SIPROF_SIGNAL_SAFE void forget_app(const void* stack, std::uint64_t bytes);

// Reaps until there is no agent, then waits for the end of the app, our parent.
// Context: the middle process.
SIPROF_SIGNAL_SAFE void outlive_app(std::int32_t app_pid);

// Whether that middle process, a child of this one, only waits for our end.
// Context: signal handler, any thread.
SIPROF_SIGNAL_SAFE bool middle_is_idle(std::int32_t middle_pid);

}  // namespace siprof::shim
