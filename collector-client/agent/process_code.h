// SPDX-License-Identifier: Apache-2.0
// What code one process has mapped, and had when its samples were taken; what its handlers walk by is
// published from here. The agent's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "collector-client/aggregate/window.h"
#include "collector-client/attach/process_view.h"
#include "collector-client/base/clock.h"
#include "collector-client/drain/shared_pool.h"
#include "collector-client/unwind/module_map.h"
#include "collector-client/unwind/table_builder.h"

namespace siprof::client {

class ProcessCode {
 public:
  // All of them outlive it. Reads the mappings at once.
  ProcessCode(const ProcessView& view, SharedPool& pool, ModuleCache& modules, TableBuilder& tables,
              const Clock& clock);

  // The latest state that is known.
  const ModuleMap& map() const { return map_; }
  const Module* executable() const;
  // Of unmappings, that map() shows; kUnmapping: not known.
  std::uint32_t unmap_generation() const { return generation_; }

  // The mappings as a sample saw them that has the number `generation` of unmappings and was taken at `ip`.
  // If they aren't known any more, or not yet, what can't have changed. Until the next call of a function
  // that isn't const.
  const ModuleMap& at(std::uint32_t generation, std::uint64_t ip);

  // After each drain: mappings that the process has changed; whether it had.
  bool follow();
  // Tables that were made since the last time.
  void follow_tables();
  // Once a window.
  void refresh();
  // From an earlier session of the process, if this one sees none (it has left its /proc).
  void take_over(const ProcessCode& before);

  // What went wrong with files of this process since the last call, by counters' names.
  Counters take_failures();

 private:
  const ModuleMap* known_at(std::uint32_t generation) const;
  void look();
  void read();
  std::uint32_t read_text();
  void update();
  void publish();

  const ProcessView& view_;
  SharedPool& pool_;
  ModuleCache& modules_;
  TableBuilder& tables_;
  const Clock& clock_;

  ModuleMap map_;
  std::uint32_t generation_ = kUnmapping;  // of unmappings, that map_ shows
  std::string text_;
  absl::Time read_at_ = absl::InfinitePast();
  absl::Duration pause_;  // between two looks
  // States that records of the process may still be of: those since the drain before.
  struct Past {
    std::uint32_t generation;
    std::unique_ptr<const ModuleMap> map;
  };
  std::vector<Past> past_;
  std::size_t past_before_drain_ = 0;
  std::unique_ptr<const ModuleMap> lasting_;  // of map_, when it was asked for

  std::uint64_t tables_generation_ = 0;  // TableBuilder's, of what is published
  std::vector<CodeRange> ranges_;        // kept for its memory
  Counters failures_;
};

}  // namespace siprof::client
