// SPDX-License-Identifier: Apache-2.0
// Where code is in one process: /proc/PID/maps, executable lines only, each tied to
// its module. The drain step feeds it the file's text at attach, each window, on
// unknown addresses and after dlclose; the unwinder asks it for every frame.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "collector-client/base/module.h"
#include "collector-client/unwind/maps_line.h"
#include "collector-client/unwind/module_cache.h"

namespace siprof::client {

// Executable addresses [start, end) of the process. In a module:
// address of the file = address of the process - bias (modulo 2^64).
struct CodeMapping {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::uint64_t bias = 0;
  const Module* module = nullptr;  // null: anonymous memory without a name for it

  friend bool operator==(const CodeMapping&, const CodeMapping&) = default;
};

class ModuleMap {
 public:
  // `anonymous` stands for executable memory without a file (JIT code), at the process's own
  // addresses; null leaves such addresses without a module. Not owned.
  ModuleMap(ModuleCache& cache, std::shared_ptr<FileOpener> opener, const Module* anonymous = nullptr);
  ~ModuleMap();
  ModuleMap(const ModuleMap&) = delete;
  ModuleMap& operator=(const ModuleMap&) = delete;

  // Takes the whole text of /proc/PID/maps; lines that did not change keep their modules. True if
  // anything executable did. Malformed lines are skipped and counted.
  bool update(std::string_view maps_text);

  // What it says now, of `only` these modules if there are some. Never updated.
  std::unique_ptr<const ModuleMap> snapshot(const absl::flat_hash_set<const Module*>* only = nullptr) const;

  // Null: not executable, as far as the last text says.
  const CodeMapping* find(std::uint64_t address) const;
  CodeAddress locate(std::uint64_t address) const;

  const std::vector<CodeMapping>& mappings() const { return mappings_; }  // by start
  std::uint64_t generation() const { return generation_; }                // grows with each change
  std::uint64_t malformed_lines() const { return malformed_lines_; }

 private:
  struct Known {
    MapsLine line;  // its path is a view of `path`
    std::string path;
    CodeMapping mapping;
  };
  std::unique_ptr<Known> take_known(const MapsLine& line);
  std::unique_ptr<Known> resolve(const MapsLine& line);
  void release(const Known& known);

  ModuleCache& cache_;
  std::shared_ptr<FileOpener> opener_;
  const Module* anonymous_;
  std::vector<std::unique_ptr<Known>> known_;  // by start, same order as mappings_
  std::vector<CodeMapping> mappings_;
  std::uint64_t generation_ = 0;
  std::uint64_t malformed_lines_ = 0;
};

}  // namespace siprof::client
