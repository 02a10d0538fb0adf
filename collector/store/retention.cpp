// SPDX-License-Identifier: Apache-2.0
#include "collector/store/retention.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace siprof::collector {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kHourNs = 3600 * kSecondNs;
constexpr std::int64_t kDayNs = 24 * kHourNs;
constexpr std::int64_t kYearNs = 365 * kDayNs;
constexpr std::int64_t kLongestNs = 100 * kYearNs;

std::int64_t unit_ns(char unit) {
  switch (unit) {
    case 's':
      return kSecondNs;
    case 'm':
      return 60 * kSecondNs;
    case 'h':
      return kHourNs;
    case 'd':
      return kDayNs;
    case 'y':
      return kYearNs;
    default:
      return 0;
  }
}

}  // namespace

std::vector<Tier> default_tiers() {
  return {{"10s", kFinestStepNs, 48 * kHourNs},
          {"1m", 60 * kSecondNs, 14 * kDayNs},
          {"10m", 600 * kSecondNs, 90 * kDayNs},
          {"1h", kHourNs, 2 * kYearNs}};
}

absl::StatusOr<std::int64_t> parse_duration_ns(absl::string_view text) {
  const std::int64_t unit = text.empty() ? 0 : unit_ns(text.back());
  std::uint32_t count = 0;
  const absl::string_view digits = text.substr(0, text.empty() ? 0 : text.size() - 1);
  const bool plain =
      !digits.empty() && std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
  if (unit == 0 || !plain || !absl::SimpleAtoi(digits, &count) || count > kLongestNs / unit)
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no duration: write a number and s, m, h, d or y, such as 48h"));
  return count * unit;
}

absl::StatusOr<std::vector<Tier>> parse_retention(absl::string_view text) {
  std::vector<Tier> tiers = default_tiers();
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    const std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    const auto tier = std::ranges::find(tiers, pair.first, &Tier::name);
    if (tier == tiers.end())
      return absl::InvalidArgumentError(
          absl::StrCat("\"", part, "\" names no tier: write 10s=48h,1m=14d,10m=90d,1h=2y or a part of it"));
    const absl::StatusOr<std::int64_t> keep = parse_duration_ns(pair.second);
    if (!keep.ok()) return keep.status();
    if (*keep < tier->step_ns)
      return absl::InvalidArgumentError(absl::StrCat("\"", part, "\" is shorter than one step of its tier"));
    tier->keep_ns = *keep;
  }
  return tiers;
}

}  // namespace siprof::collector
