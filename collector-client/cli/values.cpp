// SPDX-License-Identifier: Apache-2.0
// Reads durations, sizes, shares, numbers and switches.
#include "collector-client/cli/values.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "collector-client/base/text.h"

namespace siprof::client {
namespace {

absl::Status write_instead(const std::string& advice) {
  return absl::InvalidArgumentError(absl::StrCat("write ", advice));
}

struct SizeUnit {
  std::string_view name;
  int shift;
};
constexpr SizeUnit kSizeUnits[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"K", 10},
                                   {"M", 20},   {"G", 30},   {"T", 40},   {"B", 0}};

bool is_one_of(const std::string& text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

}  // namespace

absl::StatusOr<absl::Duration> parse_duration(std::string_view text) {
  absl::Duration duration;
  // A bare "0" is a duration to abseil, and so is "inf".
  if (text.empty() || !absl::ascii_isalpha(text.back()) || !absl::ParseDuration(to_absl(text), &duration) ||
      duration < absl::ZeroDuration() || duration == absl::InfiniteDuration()) {
    return write_instead("a number with a unit, like 1ms, 10s or 2m");
  }
  return duration;
}

absl::StatusOr<std::uint64_t> parse_bytes(std::string_view text) {
  const absl::Status bad = write_instead("a number of bytes, like 524288, 64KiB or 256MiB");
  int shift = 0;
  for (const SizeUnit& unit : kSizeUnits) {
    if (!strip_suffix(&text, unit.name)) continue;
    shift = unit.shift;
    break;
  }
  std::uint64_t number = 0;
  if (!absl::SimpleAtoi(to_absl(text), &number) || text.front() == '+') return bad;
  if (number > (UINT64_MAX >> shift)) return bad;
  return number << shift;
}

absl::StatusOr<std::optional<double>> parse_share(std::string_view text) {
  if (text == "off") return std::optional<double>();
  double percent = 0;
  if (!strip_suffix(&text, "%") || !absl::SimpleAtod(to_absl(text), &percent) || !std::isfinite(percent) ||
      percent <= 0 || percent > 100) {
    return write_instead("a share above 0% and up to 100%, like 1% or 0.5%, or off");
  }
  return std::optional<double>(percent / 100);
}

absl::StatusOr<std::uint64_t> parse_count(std::string_view text, std::uint64_t min, std::uint64_t max) {
  std::uint64_t number = 0;
  if (!absl::SimpleAtoi(to_absl(text), &number) || number < min || number > max) {
    return write_instead(absl::StrCat("a number from ", min, " to ", max));
  }
  return number;
}

absl::StatusOr<bool> parse_switch(std::string_view text) {
  const std::string word = absl::AsciiStrToLower(to_absl(text));
  if (is_one_of(word, {"1", "true", "on", "yes"})) return true;
  if (is_one_of(word, {"0", "false", "off", "no"})) return false;
  return write_instead("on or off");
}

}  // namespace siprof::client
