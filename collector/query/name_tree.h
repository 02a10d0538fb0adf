// SPDX-License-Identifier: Apache-2.0
// Stacks merged by function name, for one sample type: what flame graphs and
// tables are made of. Lines, inlining and modules are gone.
#pragma once

#include <cstdint>
#include <vector>

#include "collector/store/reader.h"

namespace siprof::collector {

struct NameTree {
  struct Node {
    std::int32_t parent = -1;  // a smaller index; -1: the root
    std::uint32_t name = 0;    // index into MergedStacks::strings; 0 for the root
    std::uint32_t file = 0;    // the same; 0: unknown
    std::int64_t self = 0;
    std::int64_t total = 0;
  };
  // [0] is the root: all there is.
  std::vector<Node> nodes;
};

// Whether labels of samples are nodes on top of their stack, or part of it.
enum class Labels : std::uint8_t { kFold, kShow };

// Values are never negative and sums stop at the largest integer.
NameTree merge_by_name(const MergedStacks& stacks, std::size_t type, Labels labels = Labels::kFold);

std::int64_t saturating_add(std::int64_t a, std::int64_t b);

}  // namespace siprof::collector
