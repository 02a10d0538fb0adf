// SPDX-License-Identifier: Apache-2.0
// How unwinding and symbolizing open files the way a profiled process sees them
// (its own root, its own mounts). attach/ implements it over the process's root
// descriptor; tests over a folder.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "collector-client/base/unique_fd.h"

namespace siprof::client {

class FileOpener {
 public:
  virtual ~FileOpener() = default;

  // Opens a regular file read-only, close-on-exec; the caller owns the descriptor.
  // `device` and `inode` are what /proc/PID/maps says, both 0 where any file of
  // that name will do (debug files, perf maps): a hint for finding the file by other
  // ways, the caller checks identity itself. Must not block on FIFOs and devices.
  virtual absl::StatusOr<int> open(const std::string& path, std::uint64_t device, std::uint64_t inode) = 0;
};

}  // namespace siprof::client
