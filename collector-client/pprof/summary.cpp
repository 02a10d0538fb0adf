// SPDX-License-Identifier: Apache-2.0
// Self and total by function, and their table.
#include "collector-client/pprof/summary.h"
#include "collector-client/pprof/short_name.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "collector-client/base/text.h"

namespace siprof::client {
namespace {

using perftools::profiles::Location;
using perftools::profiles::Profile;

const std::string& text(const Profile& profile, std::int64_t id) {
  return profile.string_table(static_cast<int>(id));
}

int find_type(const Profile& profile, std::string_view type) {
  const std::string_view wanted = type.empty() && profile.default_sample_type() != 0
                                      ? std::string_view(text(profile, profile.default_sample_type()))
                                      : type;
  for (int i = 0; i < profile.sample_type_size(); ++i) {
    if (text(profile, profile.sample_type(i).type()) == wanted) return i;
  }
  return wanted.empty() ? profile.sample_type_size() - 1 : -1;
}

using NameAndFile = std::pair<std::string, std::string>;

// Innermost first; one entry where no name is known.
std::vector<NameAndFile> functions_at(const Profile& profile, const Location& location) {
  std::vector<NameAndFile> functions;
  for (const auto& line : location.line()) {
    const auto& function = profile.function(static_cast<int>(line.function_id()) - 1);
    functions.emplace_back(text(profile, function.name()), text(profile, function.filename()));
  }
  if (!functions.empty()) return functions;
  if (location.mapping_id() == 0) return {{"[unknown]", ""}};
  const std::string& file =
      text(profile, profile.mapping(static_cast<int>(location.mapping_id()) - 1).filename());
  return {{absl::StrFormat("[%s]", file.substr(file.rfind('/') + 1)), ""}};
}

std::string scaled(double value, double base, std::initializer_list<const char*> units) {
  const char* unit = *units.begin();
  for (const char* next : units) {
    unit = next;
    if (value < base || next == *(units.end() - 1)) break;
    value /= base;
  }
  return value < 10 ? absl::StrFormat("%.2f%s", value, unit) : absl::StrFormat("%.1f%s", value, unit);
}

}  // namespace

Summary summarize(const Profile& profile, std::string_view type) {
  Summary summary;
  const int index = find_type(profile, type);
  if (index < 0) return summary;
  summary.type = text(profile, profile.sample_type(index).type());
  summary.unit = text(profile, profile.sample_type(index).unit());
  std::map<NameAndFile, FunctionTotal> totals;
  for (const auto& sample : profile.sample()) {
    const std::int64_t value = sample.value(index);
    summary.total += value;
    std::set<NameAndFile> seen;
    bool is_leaf = true;
    for (std::uint64_t id : sample.location_id()) {
      for (const NameAndFile& function : functions_at(profile, profile.location(static_cast<int>(id) - 1))) {
        FunctionTotal& total = totals[function];
        if (std::exchange(is_leaf, false)) total.self += value;
        if (seen.insert(function).second) total.total += value;
      }
    }
  }
  for (auto& [function, total] : totals) {
    summary.functions.push_back({function.first, function.second, total.self, total.total});
  }
  std::sort(summary.functions.begin(), summary.functions.end(), [](const auto& a, const auto& b) {
    return std::tuple(-a.self, -a.total, a.name) < std::tuple(-b.self, -b.total, b.name);
  });
  return summary;
}

std::string format_value(std::int64_t value, std::string_view unit) {
  if (value == 0) return "0";
  if (unit == "nanoseconds") {
    if (value >= 1'000'000'000) return absl::StrFormat("%.2fs", static_cast<double>(value) / 1e9);
    return scaled(static_cast<double>(value), 1000, {"ns", "us", "ms"});
  }
  if (unit == "bytes") {
    if (value < 1024) return absl::StrFormat("%dB", value);
    return scaled(static_cast<double>(value), 1024, {"B", "KiB", "MiB", "GiB", "TiB"});
  }
  return absl::StrFormat("%d", value);
}

std::string summary_table(const Summary& summary, std::size_t limit, std::size_t width) {
  std::string table = absl::StrFormat("%10s %6s %10s %6s  %s\n", "self", "", "total", "", "function");
  const double whole = summary.total > 0 ? static_cast<double>(summary.total) : 1;
  constexpr std::size_t kColumns = 10 + 1 + 6 + 1 + 10 + 1 + 6 + 2;
  const std::size_t room = std::max<std::size_t>(width, kColumns + 16) - kColumns;
  for (const FunctionTotal& function : summary.functions) {
    if (limit-- == 0) break;
    absl::StrAppendFormat(
        &table, "%10s %5.1f%% %10s %5.1f%%  %s\n", format_value(function.self, summary.unit),
        100 * static_cast<double>(function.self) / whole, format_value(function.total, summary.unit),
        100 * static_cast<double>(function.total) / whole, short_name(function.name, room));
  }
  return table;
}

}  // namespace siprof::client
