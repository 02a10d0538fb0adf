// SPDX-License-Identifier: Apache-2.0
#include "collector/http/query_string.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace siprof::collector {
namespace {

constexpr std::size_t kMaxParams = 128;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = absl::ascii_tolower(static_cast<unsigned char>(c));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool decode(absl::string_view text, std::string& out) {
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i] == '+' ? ' ' : text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return false;
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return true;
}

}  // namespace

absl::StatusOr<RawParams> params_of_target(absl::string_view target) {
  RawParams params;
  target = target.substr(0, target.find('#'));
  const std::size_t mark = target.find('?');
  if (mark == absl::string_view::npos) return params;
  for (absl::string_view part : absl::StrSplit(target.substr(mark + 1), '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    std::string name, value;
    if (!decode(pair.first, name) || !decode(pair.second, value))
      return absl::InvalidArgumentError(
          "a parameter has a '%' without two hex digits: write %25 for the sign itself");
    if (params.size() == kMaxParams)
      return absl::InvalidArgumentError(absl::StrCat("more than ", kMaxParams, " parameters"));
    params.emplace(std::move(name), std::move(value));
  }
  return params;
}

}  // namespace siprof::collector
