// SPDX-License-Identifier: Apache-2.0
// Tables of everything that a module map knows, in memory, as the handler's walker reads them.
#pragma once

#include <cstring>
#include <map>
#include <vector>

#include "collector-client/unwind/module_map.h"
#include "collector-client/unwind/table_compiler.h"
#include "shim/core/stack_walk.h"

namespace siprof::client::testing {

class OwnTables {
 public:
  explicit OwnTables(const ModuleMap& map) {
    arena_.resize(kArenaAlignment);
    for (const CodeMapping& mapping : map.mappings())
      ranges_.push_back({mapping.start, mapping.end, mapping.bias, place_of(mapping.module), 0});
  }

  shim::CodeView view(bool cached = true) {
    return {arena_.data(),
            arena_.size(),
            ranges_.data(),
            static_cast<std::uint32_t>(ranges_.size()),
            cached ? cache_.data() : nullptr,
            0};
  }
  std::vector<CodeRange>& ranges() { return ranges_; }
  std::vector<std::byte>& arena() { return arena_; }

 private:
  std::uint32_t place_of(const Module* module) {
    if (module == nullptr || module->image == nullptr) return 0;
    const auto known = places_.find(module);
    if (known != places_.end()) return known->second;
    const auto table = compile_table(module->image);
    if (!table.ok()) return places_[module] = 0;
    const std::size_t at = arena_.size();
    arena_.resize((at + table->bytes.size() + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment);
    std::memcpy(arena_.data() + at, table->bytes.data(), table->bytes.size());
    return places_[module] = static_cast<std::uint32_t>(at / kArenaAlignment);
  }

  std::vector<std::byte> arena_;
  std::vector<CodeRange> ranges_;
  std::map<const Module*, std::uint32_t> places_;
  std::vector<std::uint64_t> cache_ = std::vector<std::uint64_t>(shim::kRuleCacheSize);
};

}  // namespace siprof::client::testing
