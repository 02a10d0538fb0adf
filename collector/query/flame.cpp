// SPDX-License-Identifier: Apache-2.0
#include "collector/query/flame.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "absl/container/flat_hash_map.h"

namespace siprof::collector {
namespace {

constexpr char kOther[] = "(other)";

// Children of each node by falling total, as one array cut into slices. Only
// nodes that have a value: a type may be zero where another one isn't.
class Children {
 public:
  explicit Children(const NameTree& tree) : starts_(tree.nodes.size() + 1) {
    std::vector<std::uint32_t> order;
    for (std::uint32_t i = 1; i < tree.nodes.size(); ++i)
      if (tree.nodes[i].total != 0) order.push_back(i);
    std::ranges::stable_sort(order, [&tree](std::uint32_t a, std::uint32_t b) {
      const NameTree::Node &x = tree.nodes[a], &y = tree.nodes[b];
      return x.parent != y.parent ? x.parent < y.parent : x.total > y.total;
    });
    for (const std::uint32_t i : order) ++starts_[static_cast<std::size_t>(tree.nodes[i].parent) + 1];
    std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
    children_ = std::move(order);
  }
  std::span<const std::uint32_t> of(std::size_t node) const {
    return std::span(children_).subspan(starts_[node], starts_[node + 1] - starts_[node]);
  }
  std::size_t count() const { return children_.size(); }

 private:
  std::vector<std::size_t> starts_;
  std::vector<std::uint32_t> children_;
};

// The `count` nodes with the largest totals; a parent is at least as large as
// its children and comes before them, so the choice is a tree.
std::vector<bool> largest(const NameTree& tree, const std::vector<std::uint32_t>& by_total,
                          std::size_t count) {
  std::vector<bool> kept(tree.nodes.size());
  for (std::size_t i = 0; i < count; ++i) kept[by_total[i]] = true;
  return kept;
}

// Nodes that need an "(other)" child under this choice.
std::size_t cut_parents(const NameTree& tree, const std::vector<std::uint32_t>& by_total, std::size_t count) {
  const std::vector<bool> kept = largest(tree, by_total, count);
  std::vector<bool> cut(tree.nodes.size());
  for (std::size_t i = count; i < by_total.size(); ++i) {
    const auto parent = static_cast<std::size_t>(tree.nodes[by_total[i]].parent);
    if (kept[parent]) cut[parent] = true;
  }
  return static_cast<std::size_t>(std::ranges::count(cut, true));
}

std::vector<bool> choose(const NameTree& tree, const Children& children, std::size_t max_nodes) {
  std::vector<std::uint32_t> by_total = {0};
  for (std::size_t i = 0; i < tree.nodes.size(); ++i)
    for (const std::uint32_t child : children.of(i)) by_total.push_back(child);
  std::ranges::sort(by_total, [&tree](std::uint32_t a, std::uint32_t b) {
    return tree.nodes[a].total != tree.nodes[b].total ? tree.nodes[a].total > tree.nodes[b].total : a < b;
  });
  if (by_total.size() <= max_nodes) return largest(tree, by_total, by_total.size());
  // Half of them always fits, for each kept node has at most one "(other)".
  std::size_t fits = std::max<std::size_t>(1, max_nodes / 2);
  std::size_t beyond = max_nodes + 1;
  while (beyond - fits > 1) {
    const std::size_t middle = fits + (beyond - fits) / 2;
    (middle + cut_parents(tree, by_total, middle) <= max_nodes ? fits : beyond) = middle;
  }
  return largest(tree, by_total, fits);
}

class Builder {
 public:
  Builder(const MergedStacks& stacks, const NameTree& tree) : stacks_(stacks), tree_(tree) {
    flame_.files.emplace_back();
    files_.emplace(0, 0);
  }

  void add(std::size_t node, std::int32_t parent) {
    const NameTree::Node& n = tree_.nodes[node];
    push(index(stacks_.strings[n.name], n.name, names_, flame_.names),
         index(stacks_.strings[n.file], n.file, files_, flame_.files), parent, n.self, n.total);
  }
  void add_root(const std::string& name) {
    flame_.names.push_back(name);
    push(0, 0, -1, tree_.nodes[0].self, tree_.nodes[0].total);
  }
  void add_other(std::int32_t parent, std::int64_t total) {
    push(index(kOther, kOtherKey, names_, flame_.names), 0, parent, total, total);
  }
  std::int32_t last() const { return static_cast<std::int32_t>(flame_.name.size()) - 1; }
  FlameGraph take() { return std::move(flame_); }

 private:
  using Indices = absl::flat_hash_map<std::uint32_t, std::uint32_t>;
  static constexpr std::uint32_t kOtherKey = UINT32_MAX;

  static std::uint32_t index(const std::string& text, std::uint32_t key, Indices& known,
                             std::vector<std::string>& out) {
    const auto [slot, fresh] = known.try_emplace(key, out.size());
    if (fresh) out.push_back(text);
    return slot->second;
  }
  void push(std::uint32_t name, std::uint32_t file, std::int32_t parent, std::int64_t self,
            std::int64_t total) {
    flame_.name.push_back(name);
    flame_.file.push_back(file);
    flame_.parent.push_back(parent);
    flame_.self.push_back(self);
    flame_.total.push_back(total);
  }

  const MergedStacks& stacks_;
  const NameTree& tree_;
  Indices names_, files_;
  FlameGraph flame_;
};

}  // namespace

FlameGraph make_flame(const MergedStacks& stacks, const NameTree& tree, const std::string& root_name,
                      std::size_t max_nodes) {
  const Children children(tree);
  const std::vector<bool> kept = choose(tree, children, max_nodes);
  Builder builder(stacks, tree);
  // A stack of its own: recursion a thousand deep is ordinary input. An entry is
  // a node, or with `other` set the rest of its parent.
  struct Todo {
    std::size_t node = 0;
    std::int32_t parent = -1;
    std::int64_t other = 0;
  };
  std::vector<Todo> todo = {{}};
  while (!todo.empty()) {
    const Todo at = todo.back();
    todo.pop_back();
    if (at.other != 0) {
      builder.add_other(at.parent, at.other);
      continue;
    }
    at.parent < 0 ? builder.add_root(root_name) : builder.add(at.node, at.parent);
    const std::int32_t index = builder.last();
    std::int64_t other = 0;
    std::vector<Todo> below;
    for (const std::uint32_t child : children.of(at.node)) {
      if (kept[child])
        below.push_back({child, index, 0});
      else
        other = saturating_add(other, tree.nodes[child].total);
    }
    // The largest child comes first, so it is pushed last; what was left out follows all.
    if (other != 0 && max_nodes > 1) todo.push_back({0, index, other});
    todo.insert(todo.end(), below.rbegin(), below.rend());
  }
  FlameGraph flame = builder.take();
  flame.nodes_in_all = children.count() + 1;
  return flame;
}

}  // namespace siprof::collector
