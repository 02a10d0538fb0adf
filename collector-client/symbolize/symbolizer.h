// SPDX-License-Identifier: Apache-2.0
// Names for code addresses. The aggregate step calls it once per window with the new
// addresses of all stacks. One thread.
//
// Symbol tables and DWARF are read in a worker process (worker_client.h) with memory and time
// limits; answers are kept in memory per address and on disk per build-id. main() must hand over to
// symbol_worker_main() (worker.h) when argv[1] is kWorkerArgument.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/node_hash_map.h"
#include "absl/time/time.h"
#include "collector-client/base/module.h"
#include "collector-client/symbolize/file_opener.h"
#include "collector-client/symbolize/source_frame.h"

namespace siprof::client {

class JitSymbols;
class SymbolCache;
class WorkerClient;

struct SymbolizerOptions {
  std::string cache_folder;  // <state folder>/symbols; empty: nothing on disk
  std::uint64_t cache_bytes = 64u << 20;
  std::string worker_program = "/proc/self/exe";  // run with the argument kWorkerArgument
  std::uint64_t worker_memory_bytes = 1u << 30;
  absl::Duration worker_timeout = absl::Seconds(20);  // per request
};

class Symbolizer {
 public:
  using Frames = std::vector<SourceFrame>;  // innermost inlined function first; empty: no name is known

  explicit Symbolizer(SymbolizerOptions options);
  ~Symbolizer();

  // Executable memory of one process that belongs to no file; named by /tmp/perf-PID.map below `root`
  // (null: not named). `pid` is the process's own idea of its pid, which is what JITs write. The module
  // is valid until the first trim() after its last release_anonymous().
  const Module* anonymous_module(int pid, std::shared_ptr<FileOpener> root);
  void release_anonymous(const Module* module);

  // Resolves all that is not known yet, in large requests to the worker. May take seconds for
  // huge files that were never seen before; bounded by the worker's time limit.
  void prepare(std::span<const CodeAddress> addresses);

  // The names; resolves at once what prepare() was not told about. Valid until the next trim().
  const Frames& frames(const CodeAddress& address);

  // No worker is asked any more, and one that is asked just now is given up. Any thread.
  void give_up();

  // Ends the worker, writes new names to disk, forgets names that were not asked for since the
  // last call while there are more than kMaxNames. Between windows.
  void trim();

  // Since the start, by the names of the profile's comments.
  std::map<std::string, std::uint64_t> counters() const;

  // Before ModuleCache::evict(), between windows.
  void forget(const absl::flat_hash_set<const Module*>& modules);

  // CPU time of the symbol workers so far.
  std::uint64_t worker_cpu_ns() const;

  static constexpr std::size_t kMaxNames = 32768;

 private:
  struct ModuleState;
  struct Known {
    Frames frames;
    std::uint64_t last_used = 0;
  };

  void resolve(const Module& module, std::vector<std::uint64_t> addresses);
  void resolve_jit(const Module& module, const std::vector<std::uint64_t>& addresses);
  void resolve_in_worker(const Module& module, ModuleState& state,
                         const std::vector<std::uint64_t>& addresses);
  bool ask_worker(const Module& module, ModuleState& state, const std::vector<std::uint64_t>& addresses);
  void load_from_disk(const Module& module, ModuleState& state);
  void write_to_disk(ModuleState& state, std::size_t at_least);
  void remember(const Module& module, std::uint64_t address, Frames frames);

  SymbolizerOptions options_;
  std::unique_ptr<JitSymbols> jit_;
  std::unique_ptr<SymbolCache> disk_;
  std::unique_ptr<WorkerClient> worker_;
  absl::node_hash_map<CodeAddress, Known> names_;  // frames() hands out references
  absl::flat_hash_map<const Module*, std::unique_ptr<ModuleState>> states_;
  std::uint64_t window_ = 1;
  std::uint64_t resolved_ = 0;
  std::uint64_t debug_files_mismatched_ = 0;
  std::uint64_t debug_files_unusable_ = 0;
  std::uint64_t disk_failures_ = 0;
};

}  // namespace siprof::client
