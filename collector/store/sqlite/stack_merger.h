// SPDX-License-Identifier: Apache-2.0
// Adds up the stacks of many profiles of one service: an array per type, indexed
// by stack id. Used by one query, on its thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "collector/store/reader.h"
#include "collector/store/sqlite/catalog_view.h"
#include "collector/store/sqlite/stack_codec.h"

namespace siprof::collector::sqlite {

class StackMerger {
 public:
  // `node_count` is called with true when a stack is newer than what it last
  // said; ids from it on are damage.
  using NodeCount = std::function<absl::StatusOr<std::size_t>(bool update)>;

  StackMerger(std::vector<ValueType> types, NodeCount node_count);

  // `columns[t]` is where type t is in this profile, -1: it isn't. Levels are
  // multiplied by `share`, the part of the time that they are of.
  absl::Status add(absl::string_view stacks, const std::vector<int>& columns, double share);

  // The tree of all stacks that have a value. `view` is locked and knows every node.
  MergedStacks finish(std::int64_t service, CatalogView& view) const;

 private:
  struct Column {
    bool level = false;
    std::vector<std::int64_t> sums;
    std::vector<double> means;
  };
  absl::Status grow(std::size_t needed);
  std::int64_t value(std::size_t column, std::size_t id) const;
  bool any_value(std::size_t id) const;
  std::vector<std::uint32_t> used_nodes(const std::vector<CatalogView::Node>& nodes) const;

  std::vector<ValueType> types_;
  NodeCount node_count_;
  std::size_t nodes_ = 0;
  std::vector<Column> columns_;
  StackDecoder decoder_;
  StackValues decoded_;
};

}  // namespace siprof::collector::sqlite
