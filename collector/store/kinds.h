// SPDX-License-Identifier: Apache-2.0
// The kinds of the contract, in the one place that the store, the queries and
// the HTTP parameters ask.
#pragma once

#include <span>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace siprof::collector {

struct Kind {
  absl::string_view name;
  absl::string_view default_type;  // what a chart shows unless it is told
  absl::string_view default_unit;
};

std::span<const Kind> kinds();

// Null for a name that is no kind.
const Kind* find_kind(absl::string_view name);

// A level (live heap) is averaged over time and added over processes; all other
// types are increases and simply add.
inline bool is_level(absl::string_view type) {
  return absl::StartsWith(type, "inuse_");
}

// Labels of samples that the store keeps, by which one stack's samples are told apart: what a thread waited
// for, what was thrown. Others (pid, thread) are dropped: they would make a stack of each process.
bool is_kept_label(absl::string_view key);

// The same of a profile's counters: a rate in force or a size, which doesn't add.
bool is_level_counter(absl::string_view name);

}  // namespace siprof::collector
