// SPDX-License-Identifier: Apache-2.0
// Finds a file's separate debug file: by build-id below /usr/lib/debug/.build-id, by
// .gnu_debuglink beside the file, in .debug/ and below /usr/lib/debug, and the file that dwz shares
// (.gnu_debugaltlink). In the profiled process's root first, then in the agent's own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "collector-client/base/module.h"
#include "collector-client/symbolize/file_opener.h"
#include "collector-client/symbolize/worker_client.h"

namespace siprof::client {

struct DebugFiles {
  UniqueFd debug;
  UniqueFd alternate;
  bool has_dwarf = false;  // in the file itself or its debug file
  // Files that were there and not taken: of another build; no ELF file or without what it was opened for.
  std::uint32_t mismatched = 0;
  std::uint32_t unusable = 0;
};

// A companion is taken only if its build-id (else its checksum) is the one the file names.
// Errors: the worker's.
absl::StatusOr<DebugFiles> find_debug_files(const Module& module, WorkerClient& worker);

// The agent's own view of the file system.
class OwnRootOpener : public FileOpener {
 public:
  absl::StatusOr<int> open(const std::string& path, std::uint64_t device, std::uint64_t inode) override;
};

}  // namespace siprof::client
