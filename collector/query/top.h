// SPDX-License-Identifier: Apache-2.0
// Functions with what they cost themselves and with all they call.
// Called by /api/v1/top.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collector/store/reader.h"

namespace siprof::collector {

struct FunctionCost {
  std::string name;
  std::string file;  // "": unknown
  std::int64_t self = 0;
  std::int64_t total = 0;  // a stack counts once, however often the function is in it
};

struct TopTable {
  std::int64_t total = 0;
  std::vector<FunctionCost> functions;  // without order
};

enum class SortBy { kSelf, kTotal };

TopTable make_top(const MergedStacks& stacks, std::size_t type);

// The `limit` largest, falling; names decide between equals.
void keep_largest(TopTable& top, SortBy by, std::size_t limit);

}  // namespace siprof::collector
