// SPDX-License-Identifier: Apache-2.0
// The kinds of profile and their pprof types: one table, the contract's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "proto/siprof/shared_memory.h"

namespace siprof::client {

enum class Kind : std::uint8_t { kCpu, kWall, kHeap, kLock, kIo, kErrors };
inline constexpr std::size_t kKindCount = 6;
static_assert(static_cast<int>(Kind::kErrors) == static_cast<int>(EventKind::kError));
inline constexpr std::size_t kMaxValues = 4;  // of one sample

// How values of one type combine over time. Over processes they always add.
enum class Over { kSum, kLevel };

struct SampleType {
  std::string_view type;
  std::string_view unit;
  Over over = Over::kSum;
};

struct KindInfo {
  Kind kind;
  std::string_view name;    // "cpu": command line, API, file names
  std::string_view series;  // "process_cpu": towards other engines
  std::span<const SampleType> types;
  SampleType period_type;
  std::string_view default_type;
};

const KindInfo& kind_info(Kind kind);
std::span<const KindInfo> all_kinds();
std::optional<Kind> find_kind(std::string_view name);

// What a process calls the kind's events.
constexpr EventKind event_of(Kind kind) {
  return static_cast<EventKind>(kind);
}

}  // namespace siprof::client
