// SPDX-License-Identifier: Apache-2.0
// Counters to comments and back.
#include "collector-client/pprof/counters.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "collector-client/base/text.h"

namespace siprof::client {
namespace {

constexpr std::string_view kPrefix = "siprof.";

}  // namespace

std::string counter_comment(std::string_view name, std::uint64_t value) {
  return absl::StrCat(to_absl(kPrefix), to_absl(name), "=", value);
}

std::optional<std::pair<std::string, std::uint64_t>> parse_counter_comment(std::string_view comment) {
  if (!comment.starts_with(kPrefix)) return std::nullopt;
  comment.remove_prefix(kPrefix.size());
  const std::size_t equals = comment.find('=');
  std::uint64_t value = 0;
  if (equals == std::string_view::npos || equals == 0 ||
      !absl::SimpleAtoi(to_absl(comment.substr(equals + 1)), &value)) {
    return std::nullopt;
  }
  return std::pair(std::string(comment.substr(0, equals)), value);
}

bool is_level_counter(std::string_view name) {
  for (std::string_view unit : {"_hz", "_interval_bytes", "_interval_ns", "_permille", "_rss_bytes"}) {
    if (name.ends_with(unit)) return true;
  }
  return false;
}

void add_counters(std::map<std::string, std::uint64_t>* sums,
                  const std::map<std::string, std::uint64_t>& more) {
  for (const auto& [name, value] : more) {
    std::uint64_t& sum = (*sums)[name];
    sum = is_level_counter(name) ? value : sum + value;
  }
}

}  // namespace siprof::client
