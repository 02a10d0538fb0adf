// SPDX-License-Identifier: Apache-2.0
// The table of kinds.
#include "collector-client/aggregate/kinds.h"

namespace siprof::client {
namespace {

constexpr SampleType kCpuTypes[] = {{"samples", "count"}, {"cpu", "nanoseconds"}};
constexpr SampleType kWallTypes[] = {{"samples", "count"}, {"wall", "nanoseconds"}};
constexpr SampleType kHeapTypes[] = {{"alloc_objects", "count"},
                                     {"alloc_space", "bytes"},
                                     {"inuse_objects", "count", Over::kLevel},
                                     {"inuse_space", "bytes", Over::kLevel}};
constexpr SampleType kLockTypes[] = {{"contentions", "count"}, {"delay", "nanoseconds"}};
constexpr SampleType kIoTypes[] = {{"contentions", "count"}, {"delay", "nanoseconds"}, {"bytes", "bytes"}};
constexpr SampleType kErrorTypes[] = {{"exceptions", "count"}};

// In the order of Kind.
constexpr KindInfo kKinds[] = {
    {Kind::kCpu, "cpu", "process_cpu", kCpuTypes, {"cpu", "nanoseconds"}, "cpu"},
    {Kind::kWall, "wall", "wall", kWallTypes, {"wall", "nanoseconds"}, "wall"},
    {Kind::kHeap, "heap", "memory", kHeapTypes, {"space", "bytes"}, "inuse_space"},
    {Kind::kLock, "lock", "mutex", kLockTypes, {"contentions", "count"}, "delay"},
    {Kind::kIo, "io", "block", kIoTypes, {"contentions", "count"}, "delay"},
    {Kind::kErrors, "errors", "exceptions", kErrorTypes, {"exceptions", "count"}, "exceptions"},
};
static_assert(std::size(kKinds) == kKindCount);

}  // namespace

const KindInfo& kind_info(Kind kind) {
  return kKinds[static_cast<std::size_t>(kind)];
}

std::span<const KindInfo> all_kinds() {
  return kKinds;
}

std::optional<Kind> find_kind(std::string_view name) {
  for (const KindInfo& info : kKinds) {
    if (info.name == name) return info.kind;
  }
  return std::nullopt;
}

}  // namespace siprof::client
