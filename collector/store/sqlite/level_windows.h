// SPDX-License-Identifier: Apache-2.0
// How levels (live heap) are added: at one moment they add over processes, agents and series, over time their
// mean counts. So each window counts by the time that it covers, of the time that any window does: what runs
// beside another one adds to it, what follows it (the next start of a service) does not.
// Used by queries on one thread.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "collector/store/covered_time.h"
#include "collector/store/sqlite/day_reader.h"

namespace siprof::collector::sqlite {

// A longer window is a mistake of its sender, and not worth thousands of steps.
inline constexpr std::int64_t kLongestSpreadNs = 86'400'000'000'000;

// At least a nanosecond.
inline std::int64_t covered_ns(const DayProfile& profile) {
  return profile.duration_ns > 0 && profile.duration_ns <= kLongestSpreadNs ? profile.duration_ns : 1;
}

// The windows of a selection.
class LevelWindows {
 public:
  void count(const DayProfile& profile) {
    covered_.add(profile.start_ns, profile.start_ns + covered_ns(profile));
  }
  // By which the profile's levels count; after all have been counted.
  double share(const DayProfile& profile) {
    if (total_ns_ == 0) total_ns_ = std::max<std::int64_t>(1, covered_.ns());
    return static_cast<double>(covered_ns(profile)) / static_cast<double>(total_ns_);
  }

 private:
  CoveredTime covered_;
  std::int64_t total_ns_ = 0;
};

// The same per step of a chart. A window counts in each step that it covers a part of: windows aren't aligned
// to steps, and between two of them is no gap.
class LevelSteps {
 public:
  explicit LevelSteps(std::int64_t step_ns) : step_ns_(step_ns) {}

  void add(const std::string& label, const DayProfile& profile) {
    const std::int64_t end = profile.start_ns + covered_ns(profile);
    for (std::int64_t step = profile.start_ns / step_ns_ * step_ns_; step < end; step += step_ns_) {
      const std::int64_t from = std::max(step, profile.start_ns), to = std::min(step + step_ns_, end);
      Level& at = levels_[{label, step}];
      at.covered.add(from, to);
      at.sum += static_cast<double>(profile.total) * static_cast<double>(to - from);
    }
  }

  void add_to(std::map<std::string, std::map<std::int64_t, std::int64_t>>& points) {
    for (auto& [key, level] : levels_)
      points[key.first][key.second] += std::llround(level.sum / static_cast<double>(level.covered.ns()));
  }

 private:
  struct Level {
    double sum = 0;  // level × time
    CoveredTime covered;
  };
  // Label, step.
  std::map<std::pair<std::string, std::int64_t>, Level> levels_;
  std::int64_t step_ns_;
};

}  // namespace siprof::collector::sqlite
