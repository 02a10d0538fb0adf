// SPDX-License-Identifier: Apache-2.0
// Names of JIT code: /tmp/perf-PID.map, which JITs write when asked to (perf's convention: "start
// size name" a line, numbers in hex, no prefix). Used by the symbolizer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "collector-client/base/module.h"
#include "collector-client/symbolize/file_opener.h"

namespace siprof::client {

class JitSymbols {
 public:
  // One module a process, path "[anon]"; the same one again for the same process. `root` may be null.
  const Module* add(int pid, std::shared_ptr<FileOpener> root);
  // The module stays until it has not been added again for some calls of trim().
  void release(const Module* module);
  void trim();

  bool knows(const Module* module) const { return processes_.contains(module); }

  // Reads the map again if it changed. Cheap if not.
  void refresh(const Module* module);

  // Empty: not in the map. Addresses are the process's.
  std::string_view find(const Module* module, std::uint64_t address) const;

 private:
  struct Symbol {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::string name;
  };
  struct Process {
    std::unique_ptr<Module> module;
    int pid = 0;
    std::shared_ptr<FileOpener> root;
    std::string version;  // of the file that was read
    int users = 0;
    int idle_trims = 0;
    std::vector<Symbol> symbols;
  };
  static std::vector<Symbol> parse(std::string_view text);

  absl::flat_hash_map<const Module*, Process> processes_;
};

}  // namespace siprof::client
