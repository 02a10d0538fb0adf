// SPDX-License-Identifier: Apache-2.0
// Which state of the mappings a sample saw. Code that was unmapped may be followed by other code in its
// place: an address alone doesn't say which.
#pragma once

#include <atomic>
#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/base/attrs.h"

namespace siprof::shim {

// How often code was unmapped so far, kUnmapping while it is. Context: signal handler, any thread.
SIPROF_SIGNAL_SAFE std::uint32_t unmap_generation();

// How often it was begun: what was found before may have gone if this has changed.
extern SIPROF_OWN std::atomic<std::uint32_t> g_unmaps_begun;

// Around whatever unmaps code. Context: any thread.
void begin_unmap();
void end_unmap();

// The threads that were unmapping aren't in the child. Context: the child of a fork.
void forget_unmaps_under_way();

// Tells the agent of this attachment. Once it is mapped; the functions above do it from then on.
// Context: signal handler, any thread.
SIPROF_SIGNAL_SAFE void show_unmaps(SharedHeader* header);

}  // namespace siprof::shim
