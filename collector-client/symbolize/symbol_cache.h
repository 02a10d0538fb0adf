// SPDX-License-Identifier: Apache-2.0
// Names on disk, one file per build-id in <state folder>/symbols, so that an agent that starts
// again needs not read gigabytes of debug information again. Used by the symbolizer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "collector-client/symbolize/source_frame.h"

namespace siprof::client {

class SymbolCache {
 public:
  using Entries = absl::btree_map<std::uint64_t, std::vector<SourceFrame>>;

  // Only names that came out of debug information are worth it; keys are build-ids with what else
  // tells files apart, plain characters only.
  SymbolCache(std::string folder, std::uint64_t max_bytes)
      : folder_(std::move(folder)), max_bytes_(max_bytes) {}

  // Empty if there is no file, it is damaged or of another version: then it is made anew.
  Entries load(const std::string& key);

  // Replaces the file, whole or not at all.
  absl::Status store(const std::string& key, const Entries& entries);

  // Removes the files used longest ago beyond the size limit, and leftovers of writers that died.
  absl::Status trim();

  std::uint64_t damaged_files() const { return damaged_files_; }

 private:
  std::string path_of(const std::string& key) const;

  std::string folder_;
  std::uint64_t max_bytes_;
  std::uint64_t damaged_files_ = 0;
};

}  // namespace siprof::client
