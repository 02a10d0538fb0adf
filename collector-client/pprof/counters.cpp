// SPDX-License-Identifier: Apache-2.0
// Counters to comments and back.
#include "collector-client/pprof/counters.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "collector-client/base/text.h"
#include "proto/siprof/counters.h"

namespace siprof::client {

std::string counter_comment(std::string_view name, std::uint64_t value) {
  return absl::StrCat(kCounterCommentPrefix, to_absl(name), "=", value);
}

std::optional<std::pair<std::string, std::uint64_t>> parse_counter_comment(std::string_view comment) {
  if (!comment.starts_with(kCounterCommentPrefix)) return std::nullopt;
  comment.remove_prefix(sizeof kCounterCommentPrefix - 1);
  const std::size_t equals = comment.find('=');
  std::uint64_t value = 0;
  if (equals == std::string_view::npos || equals == 0 ||
      !absl::SimpleAtoi(to_absl(comment.substr(equals + 1)), &value)) {
    return std::nullopt;
  }
  return std::pair(std::string(comment.substr(0, equals)), value);
}

bool is_level_counter(std::string_view name) {
  for (const std::string_view unit : kLevelCounterUnits) {
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
