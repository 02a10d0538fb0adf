// SPDX-License-Identifier: Apache-2.0
// The code map that this process got from its agent (proto/siprof/shared_memory.h), and what of it still
// holds in the memory of the next attachment: after a fork a child has its parent's code, and needn't copy
// stacks until the agent has told it so.
#pragma once

#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/base/attrs.h"

namespace siprof::shim {

inline const CodeMap* code_map_of(const SharedHeader* header) {
  return reinterpret_cast<const CodeMap*>(reinterpret_cast<const char*>(header) + kCodeMapOffset);
}

// Before a fork, in the parent, and after it in the child. Context: any thread.
void note_code_map_of_parent();
void inherit_code_map();

// Into the file of an attachment's new memory, if the memory before says something of this process. Context:
// the attach child. Errors: none, the agent writes one anyway.
SIPROF_SIGNAL_SAFE void take_over_code_map(const SharedHeader* before, long file);

}  // namespace siprof::shim
