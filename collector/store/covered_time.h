// SPDX-License-Identifier: Apache-2.0
// How much time windows cover together, those that overlap counted once. Used by one query, on its thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace siprof::collector {

// The length of the union of intervals, in nanoseconds.
class CoveredTime {
 public:
  void add(std::int64_t from_ns, std::int64_t to_ns) {
    // Windows mostly come by time.
    if (!parts_.empty() && from_ns >= parts_.back().first && from_ns <= parts_.back().second) {
      parts_.back().second = std::max(parts_.back().second, to_ns);
    } else {
      parts_.emplace_back(from_ns, to_ns);
    }
    if (parts_.size() < unite_at_) return;
    unite();
    unite_at_ = std::max(kFewParts, 2 * parts_.size());
  }
  // 0: nothing.
  std::int64_t ns() {
    unite();
    std::int64_t sum = 0;
    for (const auto& [from, to] : parts_) sum += to - from;
    return sum;
  }

 private:
  static constexpr std::size_t kFewParts = 4096;  // before those that overlap become one

  void unite() {
    std::sort(parts_.begin(), parts_.end());
    std::size_t last = 0;
    for (std::size_t i = 1; i < parts_.size(); ++i) {
      if (parts_[i].first <= parts_[last].second)
        parts_[last].second = std::max(parts_[last].second, parts_[i].second);
      else
        parts_[++last] = parts_[i];
    }
    if (!parts_.empty()) parts_.resize(last + 1);
  }

  std::vector<std::pair<std::int64_t, std::int64_t>> parts_;
  std::size_t unite_at_ = kFewParts;
};

}  // namespace siprof::collector
