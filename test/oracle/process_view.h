// SPDX-License-Identifier: Apache-2.0
// A stopped process as both walks see it: its modules, their tables as the agent makes them, and copies of
// its stacks. One moment's: what lies in the copies is the same for both.
#pragma once

#include <map>
#include <vector>

#include "collector-client/unwind/captured_stack.h"
#include "collector-client/unwind/module_map.h"
#include "collector-client/unwind/table_arena.h"
#include "shim/core/stack_walk.h"
#include "test/oracle/stepped_process.h"

namespace siprof::oracle {

inline constexpr std::uint64_t kRedZone = 128;

// The mapping that a stack pointer points into, from `low` on, copied.
struct StackCopy {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  std::vector<std::byte> bytes;
  client::CapturedStack captured;

  bool holds(std::uint64_t address) const { return address >= low && address < high; }
  shim::StackBounds bounds(std::uint64_t from) const;
};

class ProcessView {
 public:
  // `damaged`: with some rules of the tables altered, which the oracle must notice. Errors: no memory for the
  // tables.
  static absl::StatusOr<ProcessView> make(bool damaged);

  // Reads the mappings again, as the agent does where they may have changed.
  void read_maps(const SteppedProcess& process);
  // The stack at `sp`, and the leader's own where that is another.
  void copy_stacks(const SteppedProcess& process, std::uint64_t sp);

  shim::CodeView code();
  const client::ModuleMap& modules() const { return *map_; }
  const StackCopy& current() const { return current_; }
  const StackCopy& own() const { return on_own_ ? current_ : own_; }
  // As SteppedProcess::read(): code that no file has.
  std::size_t read(std::uint64_t address, std::span<std::byte> into) const {
    return process_->read(address, into);
  }
  // The copy that holds `sp`; null: none does.
  const StackCopy* stack_of(std::uint64_t sp) const;

 private:
  ProcessView(std::unique_ptr<client::TableArena> arena, bool damaged);
  std::uint32_t place_of(const client::Module* module);
  const client::MapsLine* region_of(std::uint64_t address) const;

  std::unique_ptr<client::TableArena> arena_;
  bool damaged_;
  const std::byte* arena_bytes_ = nullptr;
  std::unique_ptr<client::ModuleCache> cache_;
  std::unique_ptr<client::ModuleMap> map_;
  std::map<const client::Module*, std::uint32_t> places_;
  std::vector<CodeRange> ranges_;
  std::vector<std::uint64_t> rule_cache_;

  const SteppedProcess* process_ = nullptr;  // whose stacks were copied last
  std::string maps_text_;
  std::vector<client::MapsLine> regions_;  // of maps_text_
  const client::MapsLine* own_region_ = nullptr;
  bool on_own_ = true;
  StackCopy current_;
  StackCopy own_;
};

}  // namespace siprof::oracle
