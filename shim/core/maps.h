// SPDX-License-Identifier: Apache-2.0
// The executable lines of this process's /proc/self/maps, read in the attach child
// (which shares the app's memory, so that they are the app's).
#pragma once

#include <cstddef>
#include <cstdint>

#include "shim/base/attrs.h"

namespace siprof::shim {

struct MapsText {
  char* text;         // terminated
  std::size_t bytes;  // without the end
  bool complete;      // all lines fitted and were read
};

// At most `capacity` bytes; stops after a megabyte of mappings, which takes about 2 ms.
SIPROF_SIGNAL_SAFE MapsText read_executable_maps(char* buffer, std::size_t capacity);

// The path of the mapping that holds `address`, copied to `out`. False: not there.
SIPROF_SIGNAL_SAFE bool path_at(const MapsText& maps, std::uint64_t address, char* out, std::size_t capacity);

}  // namespace siprof::shim
