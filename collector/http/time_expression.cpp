// SPDX-License-Identifier: Apache-2.0
#include "collector/http/time_expression.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "collector/store/retention.h"

namespace siprof::collector {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kLatestS = 7'258'118'400;  // 2200-01-01
constexpr std::size_t kFractionDigits = 9;

bool all_digits(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// By integers: a double has no nanoseconds left at today's date.
bool parse_seconds(absl::string_view text, std::int64_t& ns) {
  const std::size_t dot = text.find('.');
  const absl::string_view whole = text.substr(0, dot);
  std::int64_t seconds = 0;
  if (!all_digits(whole) || !absl::SimpleAtoi(whole, &seconds) || seconds > kLatestS) return false;
  std::int64_t fraction = 0;
  if (dot != absl::string_view::npos) {
    const absl::string_view digits = text.substr(dot + 1);
    if (!all_digits(digits) || digits.size() > 20) return false;
    std::string padded(digits.substr(0, kFractionDigits));
    padded.resize(kFractionDigits, '0');
    if (!absl::SimpleAtoi(padded, &fraction)) return false;
  }
  ns = seconds * kSecondNs + fraction;
  return true;
}

bool parse_relative(absl::string_view text, std::int64_t now_ns, std::int64_t& ns) {
  if (!absl::StartsWith(text, "now")) return false;
  ns = now_ns;
  if (text.size() == 3) return true;
  const absl::StatusOr<std::int64_t> ago = parse_duration_ns(text.substr(4));
  if (text[3] != '-' || !ago.ok()) return false;
  ns = now_ns - *ago;
  return true;
}

bool parse_calendar(const std::string& text, std::int64_t& ns) {
  // ParseTime also takes "infinite-past" and surrounding space.
  if (text.empty() || text.front() < '0' || text.front() > '9' || text.back() == ' ') return false;
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) return false;
  if (time > absl::FromUnixSeconds(kLatestS)) return false;
  ns = absl::ToUnixNanos(time);
  return true;
}

}  // namespace

absl::StatusOr<std::int64_t> parse_time_ns(const std::string& text, std::int64_t now_ns) {
  std::int64_t ns = 0;
  const bool known = parse_seconds(text, ns) || parse_relative(text, now_ns, ns) || parse_calendar(text, ns);
  if (known && ns >= 0 && ns <= kLatestS * kSecondNs) return ns;
  return absl::InvalidArgumentError(
      absl::StrCat("it is no time: write unix seconds (1700000000), RFC 3339 (2023-11-14T22:13:20Z) or "
                   "now-15m (s, m, h, d)"));
}

}  // namespace siprof::collector
