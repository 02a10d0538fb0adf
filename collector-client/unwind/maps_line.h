// SPDX-License-Identifier: Apache-2.0
// One line of /proc/PID/maps (proc_pid_maps(5)). A process may have tens of thousands,
// so nothing is copied.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace siprof::client {

struct MapsLine {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::uint64_t file_offset = 0;
  std::uint64_t device = 0;  // as makedev(3) makes it
  std::uint64_t inode = 0;
  bool executable = false;
  std::string_view path;  // as written: "\012" escapes and " (deleted)" are still there

  friend bool operator==(const MapsLine&, const MapsLine&) = default;
};

// The line without its end. nullopt: not such a line.
std::optional<MapsLine> parse_maps_line(std::string_view line);

}  // namespace siprof::client
