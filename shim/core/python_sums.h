// SPDX-License-Identifier: Apache-2.0
// What the interpreter's collections are counted into (proto/siprof/python_sums.h): the shared memory, or a
// place of the process's own before it is attached.
#pragma once

#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/base/attrs.h"

namespace siprof::shim {

struct PythonCollection {
  std::uint64_t count;
  std::uint64_t collected;
  std::uint64_t uncollectable;
  std::uint64_t pause_ns;
};

// From now on they are counted, or aren't any more. Context: any thread.
void count_collections(bool on);
// Of generation 0 to 2. Context: any thread.
void add_collection(std::uint32_t generation, const PythonCollection& collection);
// Of the interpreter; 0: not known. Context: any thread.
void set_python_levels(std::uint64_t modules, std::uint64_t allocated_blocks);

// What came before the attach goes into the memory. Context: signal handler, under the attach lock.
SIPROF_SIGNAL_SAFE void move_early_python_sums(SharedHeader* header);
// Its sums were the parent's. Context: child of a fork.
void forget_early_python_sums();

}  // namespace siprof::shim
