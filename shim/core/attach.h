// SPDX-License-Identifier: Apache-2.0
// Makes the shared memory and hands it to the agent, from a tick, in a child that
// shares the app's memory but not its descriptors: nothing of it is seen by the app.
#pragma once

#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/base/attrs.h"

namespace siprof::shim {

// Attaches if it is due: not attached, the agent's heartbeat is stale, or the agent
// asks for it. Returns the memory to write to with its session, or null.
// Context: signal handler, all signals blocked. Takes about 100 µs when it attaches.
// Errors: counted; tries again later, ever more rarely; after five failures in a row
// to make memory or a child, never.
SIPROF_SIGNAL_SAFE SharedHeader* attach_if_due(std::uint64_t now_ns, std::uint64_t* session);

// The same from a hook of a thread that has been met. Context: any thread.
SharedHeader* attach_in_hook(std::uint64_t now_ns, std::uint64_t* session);

// The same outside of a handler. False: this process isn't profiled, may make no system
// call, or is the child of a vfork, whose memory is its parent's.
// Context: any thread.
bool attach_now();

// The same for a process that orphans come to, which then waits for its agent to listen, once and
// 0.2 s at most: a child that attaches before that would start one of its own.
// Context: any thread; the constructor.
void attach_as_reaper();

// A process that orphans come to (pid 1, a subreaper) attaches before it makes its first
// child: started by a child, the agent would come to it as an orphan that it never made.
// Context: any thread, before fork and spawn.
void attach_before_fork();

}  // namespace siprof::shim
