// SPDX-License-Identifier: Apache-2.0
// Names for code addresses. The aggregate step calls it once per window with the new
// addresses of all stacks. One thread.
//
// Symbol tables and DWARF are read in a worker process (worker_client.h) with memory and time
// limits; answers are kept in memory per module and on disk per build-id.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
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

// main() hands over to symbol_worker_main() (symbolize/worker.h) when argv[1] is this.
inline constexpr char kWorkerArgument[] = "symbolize-worker";

class Symbolizer {
 public:
  using Frames = std::vector<SourceFrame>;  // innermost inlined function first, never empty

  explicit Symbolizer(SymbolizerOptions options);
  ~Symbolizer();

  // Executable memory of one process that belongs to no file; named by /tmp/perf-PID.map below `root`.
  // `pid` is the process's own idea of its pid. Give it to the process's ModuleMap. Lives as long
  // as the symbolizer; release_anonymous lets go of what was read.
  const Module* anonymous_module(int pid, std::shared_ptr<FileOpener> root);
  void release_anonymous(const Module* module);

  // Resolves all that is not known yet, one request to the worker per module. May take seconds for
  // huge files that were never seen before; bounded by the worker's time limit.
  void prepare(std::span<const CodeAddress> addresses);

  // The names; resolves at once what prepare() was not told about. Valid until the next prepare() or trim().
  const Frames& frames(const CodeAddress& address);

  // Ends the worker and forgets the oldest names beyond the memory limit. Call between windows.
  void trim();

  // "symbolizer_worker_failures", "symbolizer_unsymbolized", … for the profile's comments.
  std::map<std::string, std::uint64_t> counters() const;

 private:
  struct ModuleNames;
  void resolve(const Module& module, std::vector<std::uint64_t> addresses);

  SymbolizerOptions options_;
  std::unique_ptr<JitSymbols> jit_;
  std::unique_ptr<SymbolCache> disk_;
  std::unique_ptr<WorkerClient> worker_;
  absl::flat_hash_map<CodeAddress, Frames> names_;
  std::map<std::string, std::uint64_t> counters_;
};

}  // namespace siprof::client
