// SPDX-License-Identifier: Apache-2.0
// The executable lines of this process's /proc/self/maps, read in the attach child
// (which shares the app's memory, so that they are the app's).
#pragma once

#include <cstddef>
#include <cstdint>

#include "shim/base/attrs.h"

namespace siprof::shim {

inline constexpr std::uint32_t kMaxHeaders = 512;

struct MapsText {
  char* text;         // terminated
  std::size_t bytes;  // without the end
  bool complete;      // all lines fitted and were read
  // By line, of the first kMaxHeaders: where the beginning of its file is mapped, 0: nowhere. Null if nobody
  // asked.
  std::uint64_t* headers;
};

// At most `capacity` bytes; stops after a megabyte of mappings, which takes about 2 ms. `headers`: room for
// kMaxHeaders, or null.
SIPROF_SIGNAL_SAFE MapsText read_executable_maps(char* buffer, std::size_t capacity,
                                                 std::uint64_t* headers = nullptr);

struct MapsLine {
  std::uint64_t start;
  std::uint64_t end;
  std::uint64_t file_offset;
  bool has_file;  // or is the vDSO
};

// Takes the line at `*at` and goes on to the next. False: there is none.
SIPROF_SIGNAL_SAFE bool take_line(const MapsText& maps, const char** at, MapsLine* line);

// The path of the mapping that holds `address`, copied to `out`. False: not there.
SIPROF_SIGNAL_SAFE bool path_at(const MapsText& maps, std::uint64_t address, char* out, std::size_t capacity);

}  // namespace siprof::shim
