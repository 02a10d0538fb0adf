// SPDX-License-Identifier: Apache-2.0
// What the aggregator hands on: the summed samples of one series and kind over
// one window, still as addresses.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "collector-client/aggregate/kinds.h"
#include "collector-client/base/module.h"
#include "collector-client/base/resource.h"

namespace siprof::client {

// Processes with equal attributes are one series.
struct Series {
  Attributes attributes;
  const Module* main_executable = nullptr;  // of the first process; null: unknown
};

using Counters = std::map<std::string, std::uint64_t>;
using Stack = std::vector<CodeAddress>;  // leaf first
// Of one type in one profile, as receivers accept it. In nanoseconds 104 days: 200 threads that have waited
// for half a day and are woken at once.
inline constexpr std::int64_t kMostTotal = std::int64_t{1} << 53;

// Of a thread with Python frames that doesn't hold the interpreter's lock.
enum class Gil : std::uint8_t { kUnknown, kReleased, kAwaited };

using Values = std::array<std::int64_t, kMaxValues>;

// One more label of a sample: `call` of io, `holder` of lock, …
struct SampleLabel {
  std::string key;
  std::string text;  // empty: `number` counts
  std::int64_t number = 0;

  friend bool operator==(const SampleLabel&, const SampleLabel&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const SampleLabel& l) {
    return H::combine(std::move(h), l.key, l.text, l.number);
  }
};

struct WindowSample {
  std::shared_ptr<const Stack> stack;
  pid_t pid = 0;
  pid_t thread_id = 0;
  std::string thread_name;
  std::vector<SampleLabel> labels;
  Values values{};  // as many as the kind has types
  // Tells processes apart whose pids are equal, as in two containers: `pid` is the process's own.
  std::uint64_t process = 0;
  std::shared_ptr<const Stack> holder;  // of the lock that was waited for; null: not known
  Gil gil = Gil::kUnknown;
};

struct Window {
  std::shared_ptr<const Series> series;
  Kind kind = Kind::kCpu;
  absl::Time start;
  absl::Duration duration;
  std::vector<WindowSample> samples;
  Counters counters;
};

}  // namespace siprof::client
