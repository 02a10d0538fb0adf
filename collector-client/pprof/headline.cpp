// SPDX-License-Identifier: Apache-2.0
#include "collector-client/pprof/headline.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "collector-client/pprof/counters.h"
#include "collector-client/pprof/short_name.h"
#include "collector-client/pprof/summary.h"

namespace siprof::client {
namespace {

using perftools::profiles::Profile;

constexpr std::size_t kMostNamed = 3;
constexpr std::size_t kNameRoom = 40;

const std::string& text(const Profile& profile, std::int64_t id) {
  return profile.string_table(static_cast<int>(id));
}

int column_of(const Profile& profile, std::string_view type) {
  for (int i = 0; i < profile.sample_type_size(); ++i) {
    if (text(profile, profile.sample_type(i).type()) == type) return i;
  }
  return -1;
}

std::string total(const Profile& profile, std::string_view type) {
  const int column = column_of(profile, type);
  if (column < 0) return "0";
  std::int64_t sum = 0;
  for (const auto& sample : profile.sample()) sum += sample.value(column);
  return format_value(sum, text(profile, profile.sample_type(column).unit()));
}

// " (read 1.20s, connect 310ms)": the largest values of a label; empty where no sample has it.
std::string largest(const Profile& profile, std::string_view label, std::string_view type) {
  const int column = column_of(profile, type);
  if (column < 0) return "";
  std::map<std::string, std::int64_t> sums;
  for (const auto& sample : profile.sample()) {
    for (const auto& has : sample.label()) {
      if (text(profile, has.key()) == label) sums[text(profile, has.str())] += sample.value(column);
    }
  }
  std::vector<std::pair<std::string, std::int64_t>> order(sums.begin(), sums.end());
  std::ranges::stable_sort(order, std::ranges::greater(), &std::pair<std::string, std::int64_t>::second);
  std::vector<std::string> named;
  for (const auto& [value, sum] : order) {
    if (named.size() == kMostNamed) break;
    named.push_back(absl::StrCat(short_name(value, kNameRoom), " ",
                                 format_value(sum, text(profile, profile.sample_type(column).unit()))));
  }
  if (order.size() > named.size()) named.push_back(absl::StrCat(order.size() - named.size(), " more"));
  return named.empty() ? "" : absl::StrCat(" (", absl::StrJoin(named, ", "), ")");
}

// Of all calls of a sort, which the process counts: samples stand for them, more or less.
std::string counted(const Profile& profile, std::string_view end, std::string_view unit) {
  std::int64_t sum = 0;
  for (const std::int64_t id : profile.comment()) {
    const auto counter = parse_counter_comment(text(profile, id));
    if (counter && counter->first.starts_with("io_") && counter->first.ends_with(end))
      sum += static_cast<std::int64_t>(counter->second);
  }
  return format_value(sum, unit);
}

}  // namespace

std::string headline(Kind kind, const Profile& profile) {
  const auto sum = [&profile](std::string_view type) { return total(profile, type); };
  switch (kind) {
    case Kind::kCpu:
      return absl::StrCat(sum("cpu"), " of CPU time");
    case Kind::kWall:
      return absl::StrCat(sum("wall"), " of threads' time");
    case Kind::kHeap:
      return absl::StrCat(sum("alloc_space"), " allocated in ", sum("alloc_objects"), " allocations, ",
                          sum("inuse_space"), " in ", sum("inuse_objects"), " live at the end");
    case Kind::kLock:
      return absl::StrCat(sum("delay"), " waited for locks and other threads, ", sum("contentions"),
                          " times");
    case Kind::kIo:
      return absl::StrCat(counted(profile, "_ns", "nanoseconds"), " in ", counted(profile, "_calls", "count"),
                          " calls that may block, ", counted(profile, "_bytes", "bytes"),
                          " moved; samples of ", sum("delay"), largest(profile, "call", "delay"));
    case Kind::kErrors:
      return absl::StrCat(sum("exceptions"), " exceptions", largest(profile, "type", "exceptions"));
  }
  return "";
}

std::string_view listed_type(Kind kind) {
  return kind == Kind::kHeap ? "alloc_space" : kind_info(kind).default_type;
}

}  // namespace siprof::client
