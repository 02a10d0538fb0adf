// SPDX-License-Identifier: Apache-2.0
#include "collector/query/top.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "collector/query/name_tree.h"

namespace siprof::collector {
namespace {

// For each node: whether no node above it has its name. Walks depth first with
// a count per name of what is on the path.
std::vector<bool> outermost(const NameTree& tree, std::size_t names) {
  std::vector<std::vector<std::uint32_t>> children(tree.nodes.size());
  for (std::uint32_t i = 1; i < tree.nodes.size(); ++i)
    children[static_cast<std::size_t>(tree.nodes[i].parent)].push_back(i);
  std::vector<bool> result(tree.nodes.size());
  std::vector<std::uint32_t> on_path(names);
  struct Step {
    std::uint32_t node = 0;
    bool leave = false;
  };
  std::vector<Step> steps = {{}};
  while (!steps.empty()) {
    const Step step = steps.back();
    steps.pop_back();
    std::uint32_t& depth = on_path[tree.nodes[step.node].name];
    if (step.leave) {
      --depth;
      continue;
    }
    result[step.node] = depth++ == 0;
    steps.push_back({step.node, true});
    for (const std::uint32_t child : children[step.node]) steps.push_back({child, false});
  }
  return result;
}

}  // namespace

TopTable make_top(const MergedStacks& stacks, std::size_t type) {
  const NameTree tree = merge_by_name(stacks, type);
  const std::vector<bool> counts = outermost(tree, std::max<std::size_t>(1, stacks.strings.size()));
  TopTable top;
  top.total = tree.nodes[0].total;
  absl::flat_hash_map<std::uint32_t, std::size_t> rows;
  for (std::size_t i = 1; i < tree.nodes.size(); ++i) {
    const NameTree::Node& node = tree.nodes[i];
    if (node.total == 0) continue;
    const auto [slot, fresh] = rows.try_emplace(node.name, top.functions.size());
    if (fresh) top.functions.push_back({stacks.strings[node.name], "", 0, 0});
    FunctionCost& function = top.functions[slot->second];
    if (function.file.empty()) function.file = stacks.strings[node.file];
    function.self = saturating_add(function.self, node.self);
    if (counts[i]) function.total = saturating_add(function.total, node.total);
  }
  return top;
}

void keep_largest(TopTable& top, SortBy by, std::size_t limit) {
  const auto larger = [by](const FunctionCost& a, const FunctionCost& b) {
    const std::int64_t x = by == SortBy::kSelf ? a.self : a.total;
    const std::int64_t y = by == SortBy::kSelf ? b.self : b.total;
    if (x != y) return x > y;
    if (a.total != b.total) return a.total > b.total;
    return a.name < b.name;
  };
  const std::size_t count = std::min(limit, top.functions.size());
  std::partial_sort(top.functions.begin(), top.functions.begin() + static_cast<std::ptrdiff_t>(count),
                    top.functions.end(), larger);
  top.functions.resize(count);
}

}  // namespace siprof::collector
