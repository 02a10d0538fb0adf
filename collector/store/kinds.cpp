// SPDX-License-Identifier: Apache-2.0
#include "collector/store/kinds.h"

#include <algorithm>

namespace siprof::collector {
namespace {

constexpr Kind kKinds[] = {
    {"cpu", "cpu", "nanoseconds"},    {"wall", "wall", "nanoseconds"}, {"heap", "inuse_space", "bytes"},
    {"lock", "delay", "nanoseconds"}, {"io", "delay", "nanoseconds"},  {"errors", "exceptions", "count"},
};

}  // namespace

std::span<const Kind> kinds() {
  return kKinds;
}

const Kind* find_kind(absl::string_view name) {
  const auto* found = std::ranges::find(kKinds, name, &Kind::name);
  return found == std::end(kKinds) ? nullptr : found;
}

}  // namespace siprof::collector
