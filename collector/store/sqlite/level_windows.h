// SPDX-License-Identifier: Apache-2.0
// How levels (live heap) are added: over the windows of one agent's series their
// mean counts, series and agents add. Profiles that start at the same time are
// parts of one window (processes, or one that was split), so they add too.
// Used by queries on one thread; profiles of a series come by start time.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "collector/store/sqlite/day_reader.h"

namespace siprof::collector::sqlite {

// The number of windows of each (series, agent).
class LevelWindows {
 public:
  void count(std::int64_t series, const DayProfile& profile) {
    Window& at = windows_[{series, profile.agent}];
    if (at.count++ > 0 && at.last_start_ns == profile.start_ns) --at.count;
    at.last_start_ns = profile.start_ns;
  }
  std::int64_t of(std::int64_t series, std::int64_t agent) const {
    const auto found = windows_.find({series, agent});
    return found == windows_.end() ? 1 : found->second.count;
  }

 private:
  struct Window {
    std::int64_t count = 0;
    std::int64_t last_start_ns = 0;
  };
  absl::flat_hash_map<std::pair<std::int64_t, std::int64_t>, Window> windows_;
};

// The same per step of a chart.
class LevelSteps {
 public:
  explicit LevelSteps(std::int64_t step_ns) : step_ns_(step_ns) {}

  void add(const std::string& label, std::int64_t series, const DayProfile& profile) {
    Level& at = levels_[{label, profile.start_ns / step_ns_ * step_ns_, series, profile.agent}];
    if (at.windows == 0 || at.last_start_ns != profile.start_ns) ++at.windows;
    at.last_start_ns = profile.start_ns;
    at.sum += static_cast<double>(profile.total);
  }

  void add_to(std::map<std::string, std::map<std::int64_t, std::int64_t>>& points) const {
    for (const auto& [key, level] : levels_)
      points[std::get<0>(key)][std::get<1>(key)] +=
          std::llround(level.sum / static_cast<double>(level.windows));
  }

 private:
  struct Level {
    double sum = 0;
    std::int64_t windows = 0;
    std::int64_t last_start_ns = 0;
  };
  // Label, step, series, agent.
  std::map<std::tuple<std::string, std::int64_t, std::int64_t, std::int64_t>, Level> levels_;
  std::int64_t step_ns_;
};

}  // namespace siprof::collector::sqlite
