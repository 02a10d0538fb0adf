// SPDX-License-Identifier: Apache-2.0
// The code map of a program that was just started, for its first stack: its files may be known to an agent
// that has yet to hear of the program. Made by the attach child out of the mappings and the arena's index.
#pragma once

#include "proto/siprof/shared_memory.h"
#include "shim/base/attrs.h"
#include "shim/core/maps.h"

namespace siprof::shim {

// Into memory that no agent has yet. `agent` is the end of the socket that leads to it; `generation` the
// number of unmappings that the mappings show. Context: the attach child. Errors: none, the agent writes one
// anyway.
SIPROF_SIGNAL_SAFE void write_first_code_map(SharedHeader* header, const MapsText& maps,
                                             std::uint32_t generation, int agent);

}  // namespace siprof::shim
