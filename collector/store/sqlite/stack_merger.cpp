// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/stack_merger.h"

#include <cmath>
#include <limits>

#include "collector/store/kinds.h"
#include "collector/store/sqlite/merged_names.h"

namespace siprof::collector::sqlite {

StackMerger::StackMerger(std::vector<ValueType> types, NodeCount node_count)
    : types_(std::move(types)), node_count_(std::move(node_count)), columns_(types_.size()) {
  for (std::size_t t = 0; t < types_.size(); ++t) columns_[t].level = is_level(types_[t].type);
}

absl::Status StackMerger::grow(std::size_t needed) {
  for (const bool update : {false, true}) {
    const absl::StatusOr<std::size_t> count = node_count_(update);
    if (!count.ok()) return count.status();
    nodes_ = *count;
    if (needed <= nodes_) break;
  }
  if (needed > nodes_)
    return absl::DataLossError("a stored profile names a stack that isn't in the catalogue");
  for (Column& column : columns_) {
    if (column.level)
      column.means.resize(nodes_);
    else
      column.sums.resize(nodes_);
  }
  return absl::OkStatus();
}

absl::Status StackMerger::add(absl::string_view stacks, const std::vector<int>& columns, double share) {
  if (absl::Status status = decoder_.decode(stacks, decoded_); !status.ok()) return status;
  const std::size_t count = decoded_.ids.size();
  if (count == 0) return absl::OkStatus();
  // Ascending, so the last one is the largest (checked by the decoder).
  if (decoded_.ids.back() >= nodes_) {
    if (absl::Status status = grow(std::size_t{decoded_.ids.back()} + 1); !status.ok()) return status;
  }
  for (std::size_t t = 0; t < columns_.size(); ++t) {
    if (columns[t] < 0 || columns[t] >= decoded_.types) continue;
    const std::int64_t* values = decoded_.values.data() + static_cast<std::size_t>(columns[t]) * count;
    Column& column = columns_[t];
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t id = decoded_.ids[i];
      if (column.level)
        column.means[id] += static_cast<double>(values[i]) * share;
      else if (__builtin_add_overflow(column.sums[id], values[i], &column.sums[id]))
        column.sums[id] = std::numeric_limits<std::int64_t>::max();
    }
  }
  return absl::OkStatus();
}

std::int64_t StackMerger::value(std::size_t column, std::size_t id) const {
  const Column& c = columns_[column];
  return c.level ? std::llround(std::min(c.means[id], 9.2e18)) : c.sums[id];
}

bool StackMerger::any_value(std::size_t id) const {
  for (std::size_t t = 0; t < columns_.size(); ++t)
    if (value(t, id) != 0) return true;
  return false;
}

// Ascending, so parents come before their children.
std::vector<std::uint32_t> StackMerger::used_nodes(const std::vector<CatalogView::Node>& nodes) const {
  std::vector<bool> used(nodes_);
  std::size_t count = 0;
  for (std::size_t id = nodes_; id-- > 1;) {
    if (!used[id] && !any_value(id)) continue;
    used[id] = true;
    ++count;
    // A parent at or above its child is damage; it then counts as outermost.
    if (nodes[id].parent < id) used[nodes[id].parent] = true;
  }
  std::vector<std::uint32_t> ids;
  ids.reserve(count);
  for (std::size_t id = 1; id < nodes_; ++id)
    if (used[id]) ids.push_back(static_cast<std::uint32_t>(id));
  return ids;
}

MergedStacks StackMerger::finish(std::int64_t service, CatalogView& view) const {
  MergedStacks merged;
  merged.types = types_;
  merged.without_stack.resize(types_.size());
  MergedNames names(view, merged);
  if (nodes_ == 0) return merged;
  const std::vector<CatalogView::Node>& nodes = view.nodes(service);
  if (nodes.size() < nodes_) return merged;  // swept meanwhile: the reader asks again
  for (std::size_t t = 0; t < types_.size(); ++t) merged.without_stack[t] = value(t, 0);
  std::vector<std::int32_t> index(nodes_, -1);
  for (const std::uint32_t id : used_nodes(nodes)) {
    const CatalogView::Node& node = nodes[id];
    index[id] = static_cast<std::int32_t>(merged.nodes.size());
    merged.nodes.push_back({node.parent < id ? index[node.parent] : -1, names.frame(node.frame)});
    for (std::size_t t = 0; t < types_.size(); ++t) merged.values.push_back(value(t, id));
  }
  return merged;
}

}  // namespace siprof::collector::sqlite
