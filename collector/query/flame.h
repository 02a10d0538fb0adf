// SPDX-License-Identifier: Apache-2.0
// A flame graph that a browser can draw: the largest nodes of a NameTree, in
// depth-first order. Called by /api/v1/flame.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collector/query/name_tree.h"
#include "collector/store/reader.h"

namespace siprof::collector {

struct FlameGraph {
  std::size_t nodes_in_all = 0;    // before the limit, root included
  std::vector<std::string> names;  // [0] is the root's
  std::vector<std::string> files;  // [0] is "": unknown
  // Columns of one table; row 0 is the root, children by falling total.
  std::vector<std::uint32_t> name, file;
  std::vector<std::int32_t> parent;
  std::vector<std::int64_t> self, total;
};

// What doesn't fit into `max_nodes` (1 or more) is summed below its parent as "(other)".
FlameGraph make_flame(const MergedStacks& stacks, const NameTree& tree, const std::string& root_name,
                      std::size_t max_nodes);

}  // namespace siprof::collector
