// SPDX-License-Identifier: Apache-2.0
// Makes the unwind table of each module once, on a thread of its own, while samples already flow.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "collector-client/base/module.h"
#include "collector-client/unwind/table_arena.h"

namespace siprof::client {

class TableBuilder {
 public:
  // Without memory for tables there are none: processes go on copying their stacks.
  TableBuilder();
  ~TableBuilder();
  TableBuilder(const TableBuilder&) = delete;
  TableBuilder& operator=(const TableBuilder&) = delete;

  // All of these: the agent's thread.

  // The module's table, 0: none (yet). The first question starts the work.
  std::uint32_t place_of(const Module* module);
  // Grows whenever there are more tables than before.
  std::uint64_t generation();
  // Before ModuleCache::evict(). Their tables stay in the arena.
  void forget(const absl::flat_hash_set<const Module*>& modules);

  const TableArena* arena() const { return arena_.get(); }  // null: no memory
  std::uint64_t rows() const { return rows_; }

 private:
  struct Job {
    const Module* module;  // a name only: it may be gone
    UniqueFd file;
  };
  struct Done {
    const Module* module;
    std::uint32_t place;
    std::uint32_t rows;
  };
  void work();
  Done make(const Module* name, const std::shared_ptr<const ElfImage>& image);
  void take_results();

  std::unique_ptr<TableArena> arena_;
  absl::flat_hash_map<const Module*, std::uint32_t> places_;  // 0: asked for, or there is none
  std::uint64_t generation_ = 0;
  std::uint64_t rows_ = 0;

  std::mutex mutex_;  // guards these four
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  std::deque<Done> done_;
  bool stopping_ = false;

  std::thread worker_;  // started by the first job
};

}  // namespace siprof::client
