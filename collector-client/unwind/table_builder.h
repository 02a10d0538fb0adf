// SPDX-License-Identifier: Apache-2.0
// Makes the unwind table of each module once, on a thread of its own, while samples already flow. What was
// made by an earlier agent comes from disk.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "collector-client/base/file_cache.h"
#include "collector-client/base/module.h"
#include "collector-client/unwind/table_arena.h"
#include "collector-client/unwind/table_compiler.h"

namespace siprof::client {

struct TableSettings {
  std::string cache_folder = {};           // empty: none
  std::uint64_t cache_bytes = 512u << 20;  // at most that much there
  std::function<void()> made = {};         // on the worker's thread, when there is a new table; may be empty
};

class TableBuilder {
 public:
  // Without memory for tables there are none: processes go on copying their stacks.
  explicit TableBuilder(TableSettings settings = {});
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
  // Tables asked for and not made yet.
  std::uint64_t waiting() const { return asked_ - settled_.load(std::memory_order_relaxed); }
  // Tables that came from disk. Any thread.
  std::uint64_t loaded() const { return loaded_.load(std::memory_order_relaxed); }

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
  void work_on(Job job);
  absl::StatusOr<CompiledTable> compile(const std::shared_ptr<const ElfImage>& image);
  std::optional<CompiledTable> load(const std::string& key);
  void store(const std::string& key, const CompiledTable& table);
  Done keep(const Module* module, const ElfImage& image, const CompiledTable& table);
  void take_results();

  const TableSettings settings_;
  std::unique_ptr<TableArena> arena_;
  absl::flat_hash_map<const Module*, std::uint32_t> places_;  // 0: asked for, or there is none
  std::uint64_t generation_ = 0;
  std::uint64_t asked_ = 0;
  std::atomic<std::uint64_t> settled_{0};  // of asked_; relaxed, a number
  std::uint64_t rows_ = 0;

  // The worker's. By ElfImage::cache_key(): modules are forgotten, the arena isn't.
  std::unique_ptr<FileCache> disk_;
  bool disk_fails_ = false;
  std::atomic<std::uint64_t> loaded_{0};  // relaxed, a number
  absl::flat_hash_map<std::string, Done> known_;

  std::mutex mutex_;  // guards these three, and when stopping_ is set
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  std::deque<Done> done_;
  std::atomic<bool> stopping_{false};  // without the lock: a hint to stop compiling

  std::thread worker_;  // started by the first job
};

}  // namespace siprof::client
