// SPDX-License-Identifier: Apache-2.0
// Names on disk, one file per build-id in <state folder>/symbols, so that an agent that starts
// again needs not read gigabytes of debug information again. Used by the symbolizer.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "collector-client/base/file_cache.h"
#include "collector-client/symbolize/source_frame.h"

namespace siprof::client {

class SymbolCache {
 public:
  using Entries = absl::btree_map<std::uint64_t, std::vector<SourceFrame>>;

  // Only names that came out of debug information are worth it; keys are build-ids with what else
  // tells files apart, plain characters only.
  SymbolCache(std::string folder, std::uint64_t max_bytes) : files_(std::move(folder), kMagic, max_bytes) {}

  // Empty if there is no file, it is damaged or of another version: then it is made anew.
  Entries load(const std::string& key);

  absl::Status store(const std::string& key, const Entries& entries);

  absl::Status trim() { return files_.trim(); }
  std::uint64_t damaged_files() const { return files_.damaged_files(); }

 private:
  static constexpr std::uint64_t kMagic =
      0x33'73'6d'79'73'70'69'73;  // "sipsyms3": the last digit is the version

  FileCache files_;
};

}  // namespace siprof::client
