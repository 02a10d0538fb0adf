// SPDX-License-Identifier: Apache-2.0
// The agent's unwind tables in this process: mapping its arena, and what a walk reads.
#pragma once

#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/base/attrs.h"
#include "shim/core/stack_walk.h"

namespace siprof::shim {

// What CodeMap said, until tables_hold() is asked.
struct Tables {
  CodeView view;
  const CodeMap* map;
  std::uint32_t sequence;
  std::uint32_t unmap_generation;
};

// False: there are none (yet), they are being written, or code was unmapped since.
// Context: signal handler, any thread.
SIPROF_SIGNAL_SAFE bool read_tables(const SharedHeader* header, Tables* tables);

// Whether they were the same all the time: else what was read with them is worth nothing.
// Context: as read_tables().
SIPROF_SIGNAL_SAFE bool tables_hold(const Tables& tables);

// Maps the agent's arena if there is one that isn't mapped, in a child with descriptors of its own.
// Takes some 30 µs then, a comparison otherwise. Context: signal handler, all signals blocked.
// Errors: none; without an arena stacks are copied.
SIPROF_SIGNAL_SAFE void map_tables_if_due(const SharedHeader* header);

// The same at the file `path`, if it is an arena of a trusted agent's: of a program that this agent doesn't
// know yet. Its first bytes and the id it has; null: none. Context: the attach child.
struct FoundArena {
  const std::byte* base;
  std::uint64_t bytes;  // of its file
  std::uint64_t id;
};
SIPROF_SIGNAL_SAFE FoundArena find_arena(const char* path);

}  // namespace siprof::shim
