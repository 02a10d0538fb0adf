// SPDX-License-Identifier: Apache-2.0
// See short_name.h.
#include "collector-client/pprof/short_name.h"

namespace siprof::client {
namespace {

constexpr std::string_view kOperator = "operator";

constexpr std::string_view kAnonymous = "(anonymous namespace)";

// How many characters at `at` have brackets that enclose nothing: an operator's own name, or a
// namespace without one.
std::size_t length_of_name_with_brackets(std::string_view name, std::size_t at) {
  if (name.substr(at).starts_with(kAnonymous)) return kAnonymous.size();
  if (!name.substr(at).starts_with(kOperator)) return 0;
  std::size_t end = at + kOperator.size();
  if (name.substr(end).starts_with("()")) return kOperator.size() + 2;
  while (end < name.size() && std::string_view("<>=-").find(name[end]) != std::string_view::npos) ++end;
  return end - at;
}

std::string without(std::string_view name, char open, char close) {
  std::string kept;
  int depth = 0;
  for (std::size_t at = 0; at < name.size(); ++at) {
    const std::size_t whole = length_of_name_with_brackets(name, at);
    if (whole == 0 && name[at] == open) ++depth;
    if (depth == 0) kept += name.substr(at, whole == 0 ? 1 : whole);
    if (whole == 0 && name[at] == close && depth > 0) --depth;
    if (whole != 0) at += whole - 1;
  }
  return kept;
}

}  // namespace

std::string short_name(std::string_view name, std::size_t room) {
  if (name.size() <= room) return std::string(name);
  std::string shorter = without(name, '<', '>');
  if (shorter.size() > room) shorter = without(shorter, '(', ')');
  if (shorter.empty()) shorter = name;
  return shorter.size() <= room ? shorter : shorter.substr(0, room - 3) + "...";
}

}  // namespace siprof::client
