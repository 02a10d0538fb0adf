// SPDX-License-Identifier: Apache-2.0
#include "collector/store/kinds.h"

#include <algorithm>

#include "proto/siprof/counters.h"

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

bool is_kept_label(absl::string_view key) {
  constexpr absl::string_view kKept[] = {"call",  "fd",   "lock",    "holder",
                                         "state", "type", "handled", "message"};
  return std::ranges::find(kKept, key) != std::end(kKept);
}

bool is_level_counter(absl::string_view name) {
  return std::ranges::any_of(kLevelCounterUnits,
                             [name](const char* unit) { return absl::EndsWith(name, unit); });
}

}  // namespace siprof::collector
