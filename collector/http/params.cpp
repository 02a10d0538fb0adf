// SPDX-License-Identifier: Apache-2.0
#include "collector/http/params.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "collector/http/time_expression.h"
#include "collector/ingest/utf8.h"
#include "collector/store/kinds.h"
#include "collector/store/retention.h"

namespace siprof::collector {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kDefaultRangeNs = 3600 * kSecondNs;
constexpr std::int64_t kMaxRangeNs = 10LL * 366 * 86400 * kSecondNs;
constexpr std::int64_t kMaxPoints = 11'000;
constexpr std::int64_t kDefaultPoints = 300;
constexpr std::size_t kMaxValueBytes = 4096;
constexpr std::size_t kMaxMatches = 64;

absl::Status wrong(absl::string_view name, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("parameter ", name, ": ", what));
}

absl::Status parse_count(const std::string& text, std::size_t least, std::size_t most, std::size_t& out) {
  std::uint64_t value = 0;
  const bool digits = !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || !absl::SimpleAtoi(text, &value) || value < least || value > most)
    return absl::InvalidArgumentError(absl::StrCat("write a whole number from ", least, " to ", most));
  out = value;
  return absl::OkStatus();
}

absl::Status parse_kind(const std::string& text, std::string& out) {
  if (find_kind(text) == nullptr) {
    const auto name = [](std::string* to, const Kind& kind) { absl::StrAppend(to, kind.name); };
    return absl::InvalidArgumentError(absl::StrCat("write one of ", absl::StrJoin(kinds(), ", ", name)));
  }
  out = text;
  return absl::OkStatus();
}

absl::Status parse_match(const std::string& text, Matches& matches) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos)
    return absl::InvalidArgumentError("write label=value, such as service.version=1.2");
  matches[text.substr(0, equals)].insert(text.substr(equals + 1));
  return absl::OkStatus();
}

absl::Status parse_sort(const std::string& text, SortBy& sort) {
  if (text != "self" && text != "total") return absl::InvalidArgumentError("write self or total");
  sort = text == "self" ? SortBy::kSelf : SortBy::kTotal;
  return absl::OkStatus();
}

absl::Status parse_switch(const std::string& text, bool& on) {
  if (text != "0" && text != "1") return absl::InvalidArgumentError("write 0 or 1");
  on = text == "1";
  return absl::OkStatus();
}

absl::Status parse_step(const std::string& text, std::int64_t& step_s) {
  std::size_t value = 0;
  absl::Status status = parse_count(text, kFinestStepNs / kSecondNs, kMaxRangeNs / kSecondNs, value);
  step_s = static_cast<std::int64_t>(value);
  return status;
}

absl::Status parse_metric_name(const std::string& text, std::string& out) {
  if (text.empty())
    return absl::InvalidArgumentError("write a metric's name, such as process.memory.usage, or leave it out");
  out = text;
  return absl::OkStatus();
}

// One parameter that isn't a time.
absl::Status parse_one(const std::string& name, const std::string& value, Params& params) {
  if (name == "service") return params.selection.service = value, absl::OkStatus();
  if (name == "kind") return parse_kind(value, params.selection.kind);
  if (name == "type") return params.type = value, absl::OkStatus();
  if (name == "name") return parse_metric_name(value, params.name);
  if (name == "match") return parse_match(value, params.selection.matches);
  if (name == "step") return parse_step(value, params.step_s);
  if (name == "by") return params.by = value, absl::OkStatus();
  if (name == "nodes") return parse_count(value, 1, 100'000, params.nodes);
  if (name == "labels") return parse_switch(value, params.labels);
  if (name == "limit") return parse_count(value, 1, 10'000, params.limit);
  if (name == "sort") return parse_sort(value, params.sort);
  return absl::OkStatus();
}

absl::Status check_name(const RawParams& raw, const std::string& name,
                        std::initializer_list<absl::string_view> known) {
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    const std::string list =
        known.size() == 0 ? "this path takes none" : "known are " + absl::StrJoin(known, ", ");
    const std::string shown = is_plain_text(name) && name.size() <= 64 ? absl::StrCat("\"", name, "\" ") : "";
    return absl::InvalidArgumentError(absl::StrCat("unknown parameter ", shown, "(", list, ")"));
  }
  const std::size_t count = raw.count(name);
  if (name == "match" && count > kMaxMatches)
    return wrong(name, absl::StrCat("at most ", kMaxMatches, " of them"));
  if (name != "match" && count > 1) return wrong(name, "give it once");
  return absl::OkStatus();
}

absl::Status parse_range(const RawParams& raw, std::int64_t now_ns, TimeRange& range) {
  range.to_ns = now_ns;
  for (const bool is_from : {false, true}) {
    const char* name = is_from ? "from" : "to";
    std::int64_t& slot = is_from ? range.from_ns : range.to_ns;
    if (is_from) slot = std::max<std::int64_t>(0, range.to_ns - kDefaultRangeNs);
    const auto found = raw.find(name);
    if (found == raw.end()) continue;
    const absl::StatusOr<std::int64_t> time = parse_time_ns(found->second, now_ns);
    if (!time.ok()) return wrong(name, time.status().message());
    slot = *time;
  }
  if (range.from_ns >= range.to_ns) return wrong("from", "it has to be before `to`");
  if (range.to_ns - range.from_ns > kMaxRangeNs) return wrong("from", "the range is longer than 10 years");
  return absl::OkStatus();
}

}  // namespace

bool is_plain_text(absl::string_view text) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return is_utf8({text.data(), text.size()}) && std::none_of(text.begin(), text.end(), control);
}

absl::StatusOr<Params> parse_params(const RawParams& raw, std::initializer_list<absl::string_view> known,
                                    std::int64_t now_ns) {
  Params params;
  params.selection.kind = std::string(kinds().front().name);
  for (const auto& [name, value] : raw) {
    if (absl::Status status = check_name(raw, name, known); !status.ok()) return status;
    if (value.size() > kMaxValueBytes)
      return wrong(name, absl::StrCat("longer than ", kMaxValueBytes, " bytes"));
    if (!is_plain_text(value)) return wrong(name, "only UTF-8 text without control characters");
    if (absl::Status status = parse_one(name, value, params); !status.ok())
      return wrong(name, status.message());
  }
  if (absl::Status status = parse_range(raw, now_ns, params.selection.range); !status.ok()) return status;
  const bool is_query = std::find(known.begin(), known.end(), "match") != known.end();
  if (is_query && params.selection.service.empty())
    return wrong("service", "it is required; /api/v1/services lists them");
  if (params.type.empty()) params.type = std::string(find_kind(params.selection.kind)->default_type);
  return params;
}

absl::StatusOr<std::int64_t> choose_step(std::int64_t given_s, TimeRange range) {
  constexpr std::int64_t kFinestS = kFinestStepNs / kSecondNs;
  const std::int64_t range_s = (range.to_ns - range.from_ns + kSecondNs - 1) / kSecondNs;
  if (given_s == 0) {
    const std::int64_t step = (range_s + kDefaultPoints - 1) / kDefaultPoints;
    return std::max<std::int64_t>(1, (step + kFinestS - 1) / kFinestS) * kFinestS;
  }
  if (range_s / given_s >= kMaxPoints)
    return wrong("step", absl::StrCat("that makes more than ", kMaxPoints, " points; write ",
                                      range_s / kMaxPoints + 1, " or more, or a shorter range"));
  return given_s;
}

}  // namespace siprof::collector
