// SPDX-License-Identifier: Apache-2.0
// CPython among the files that processes map: which version it is, where in it are the things that a process
// is told of (PythonView), and which of its code is what. Read from the file alone, which may be stripped,
// and hostile. The agent's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "collector-client/base/module.h"
#include "collector-client/python/code_scan.h"
#include "proto/siprof/python.h"

namespace siprof::client {

struct PythonModule {
  std::string version;  // "3.11.2", "3.13.0rc2"; without its third part where that can't be found out
  // Why its frames can't be read, in words; empty: they can, and all below is there.
  std::string trouble;
  const PythonLayout* layout = nullptr;
  // Addresses of the file.
  std::uint64_t this_thread_state = 0;
  std::uint64_t current_state = 0;  // 0: the thread state says it itself
  std::uint64_t is_finalizing = 0;
  std::uint64_t code_type = 0;
  std::vector<AddressRange> evaluation;  // _PyEval_EvalFrameDefault, with what was split off from it
  std::vector<AddressRange> gil_waits;   // instructions that wait for the GIL
};

// Null: not an interpreter of CPython.
std::unique_ptr<const PythonModule> find_python(const Module& module);

// All that were met, each looked at once. What is wrong with one is said in the log then.
class PythonModules {
 public:
  // Null: not an interpreter.
  const PythonModule* of(const Module* module);
  // Before ModuleCache::evict().
  void forget(const absl::flat_hash_set<const Module*>& modules);

 private:
  absl::flat_hash_map<const Module*, std::unique_ptr<const PythonModule>> known_;
};

}  // namespace siprof::client
