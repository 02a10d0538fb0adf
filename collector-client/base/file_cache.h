// SPDX-License-Identifier: Apache-2.0
// A folder with one file a key and a bound on their bytes: what took long to find out, for the next run.
// Files are replaced whole or not at all, and what is damaged is as if it weren't there. Several processes
// may share a folder; an object is one thread's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace siprof::client {

class FileCache {
 public:
  // `magic` names the kind of content and its version: files with another one are void.
  FileCache(std::string folder, std::uint64_t magic, std::uint64_t max_bytes)
      : folder_(std::move(folder)), magic_(magic), max_bytes_(max_bytes) {}

  // Nothing: there is no such file, or it is damaged, of another version or another key's. Keys are plain
  // characters only.
  std::optional<std::string> load(const std::string& key);

  // OK also when the content alone is beyond the bound: it would be the first to go.
  absl::Status store(const std::string& key, std::string_view content);

  // Removes the files used longest ago beyond the bound, and leftovers of writers that died.
  absl::Status trim();

  std::uint64_t damaged_files() const { return damaged_files_; }

 private:
  std::string path_of(const std::string& key) const;

  std::string folder_;
  std::uint64_t magic_;
  std::uint64_t max_bytes_;
  std::uint64_t damaged_files_ = 0;
};

}  // namespace siprof::client
