// SPDX-License-Identifier: Apache-2.0
// Numbers out of the files of one process in /proc. What isn't there, isn't allowed or doesn't read as it
// should is nullopt, never 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace siprof::client {

// Of proc_pid_stat(5).
struct ProcStat {
  char state = '?';
  std::uint64_t minor_faults = 0;
  std::uint64_t major_faults = 0;
  std::uint64_t user_ticks = 0;
  std::uint64_t system_ticks = 0;
  std::uint64_t threads = 0;
  std::uint64_t start_ticks = 0;    // since the machine's start
  std::uint64_t virtual_bytes = 0;  // 0: it has no memory any more
  std::uint64_t resident_pages = 0;
};
std::optional<ProcStat> parse_stat(std::string_view text);

// The number behind "NAME:" at the beginning of a line.
std::optional<std::uint64_t> number_behind(std::string_view text, std::string_view name);

// How many bits are set in "Cpus_allowed:", a list of hexadecimal words.
std::optional<std::uint64_t> allowed_cpus(std::string_view status);

// A folder such as /proc/PID. The descriptor is the caller's and may be O_PATH.
class ProcFolder {
 public:
  explicit ProcFolder(int fd) : fd_(fd) {}

  int fd() const { return fd_; }
  // The text of a file, valid until the next call; empty: it can't be read.
  std::string_view read(const char* file);
  // Entries of "fd". Linux 6.2 says how many; before they are counted, up to a bound.
  std::optional<std::uint64_t> descriptors() const;

  static constexpr std::uint64_t kMostCounted = 4096;

 private:
  const int fd_;
  std::string text_;  // kept for its memory
};

}  // namespace siprof::client
