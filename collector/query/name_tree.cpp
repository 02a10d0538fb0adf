// SPDX-License-Identifier: Apache-2.0
#include "collector/query/name_tree.h"

#include <limits>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace siprof::collector {

std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

NameTree merge_by_name(const MergedStacks& stacks, std::size_t type, Labels labels) {
  NameTree tree;
  NameTree::Node& root = tree.nodes.emplace_back();
  if (stacks.types.empty()) return tree;
  root.self = stacks.without_stack[type];
  absl::flat_hash_map<std::pair<std::int32_t, std::uint32_t>, std::int32_t> children;
  std::vector<std::int32_t> merged(stacks.nodes.size());
  for (std::size_t i = 0; i < stacks.nodes.size(); ++i) {
    const StackFrame& frame = stacks.frames[stacks.nodes[i].frame];
    const std::int32_t parent =
        stacks.nodes[i].parent < 0 ? 0 : merged[static_cast<std::size_t>(stacks.nodes[i].parent)];
    if (frame.label && labels == Labels::kFold) {
      merged[i] = parent;
    } else {
      const auto [slot, fresh] =
          children.try_emplace({parent, frame.name}, static_cast<std::int32_t>(tree.nodes.size()));
      if (fresh) tree.nodes.push_back({parent, frame.name, 0, 0, 0});
      merged[i] = slot->second;
    }
    NameTree::Node& node = tree.nodes[static_cast<std::size_t>(merged[i])];
    if (node.file == 0 && !frame.label) node.file = frame.file;
    node.self = saturating_add(node.self, stacks.values[i * stacks.types.size() + type]);
  }
  for (std::size_t i = tree.nodes.size(); i-- > 0;) {
    NameTree::Node& node = tree.nodes[i];
    node.total = saturating_add(node.total, node.self);
    if (node.parent < 0) continue;
    NameTree::Node& parent = tree.nodes[static_cast<std::size_t>(node.parent)];
    parent.total = saturating_add(parent.total, node.total);
  }
  return tree;
}

}  // namespace siprof::collector
