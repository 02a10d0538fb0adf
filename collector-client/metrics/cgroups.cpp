// SPDX-License-Identifier: Apache-2.0
#include "collector-client/metrics/cgroups.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "collector-client/base/file_io.h"
#include "collector-client/base/presentable.h"
#include "collector-client/base/text.h"
#include "collector-client/metrics/metric_table.h"

namespace siprof::client {
namespace {

constexpr std::size_t kMostBytes = 1u << 20;
constexpr std::size_t kMostPathBytes = 512;  // of a label, as collectors take it
constexpr std::size_t kMostStates = 10'000;
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 62;  // version 1 writes no limit as one near 2^63

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string text_of(const std::string& folder, const char* file) {
  const absl::StatusOr<std::string> text = read_file(absl::StrCat(folder, "/", file), kMostBytes);
  return text.ok() ? std::string(trim(*text)) : "";
}

// "NAME NUMBER" in one of the lines.
std::optional<std::uint64_t> number_of(std::string_view text, std::string_view name) {
  for (std::string_view line : split(text, '\n')) {
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ' ')
      return number_in(trim(line.substr(name.size())));
  }
  return std::nullopt;
}

// In CPUs; nullopt: none, or there is no such file.
std::optional<double> cpu_limit_in(const std::string& folder, bool is_v2) {
  std::optional<std::uint64_t> quota;
  std::optional<std::uint64_t> period;
  if (is_v2) {
    const std::string text = text_of(folder, "cpu.max");
    const std::vector<std::string_view> parts = split(text, ' ');
    if (parts.size() != 2) return std::nullopt;
    quota = number_in(parts[0]);  // or "max"
    period = number_in(parts[1]);
  } else {
    quota = number_in(text_of(folder, "cpu.cfs_quota_us"));  // or -1
    period = number_in(text_of(folder, "cpu.cfs_period_us"));
  }
  if (!quota || !period || *quota == 0 || *period == 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::optional<std::uint64_t> memory_limit_in(const std::string& folder, bool is_v2) {
  const std::optional<std::uint64_t> limit =
      number_in(text_of(folder, is_v2 ? "memory.max" : "memory.limit_in_bytes"));
  return limit && *limit < kNoLimit ? limit : std::nullopt;
}

// The group above, by its path below the mount; false: there is none.
bool go_up(std::string& below) {
  if (below.empty()) return false;
  below.resize(below.rfind('/'));
  return true;
}

// mountinfo writes blanks and backslashes of paths in octal.
std::string unescaped(std::string_view text) {
  std::string out;
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      out.push_back(
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0'));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// Of a long one the end, which tells it from others.
std::string shown(const std::string& path) {
  const std::string text = presentable(path.empty() ? "/" : path);
  if (text.size() <= kMostPathBytes) return text;
  const std::string_view cut = "~";
  std::size_t start = text.size() - (kMostPathBytes - cut.size());
  while (start < text.size() && (text[start] & 0xc0) == 0x80) ++start;  // no character is cut in two
  return absl::StrCat(to_absl(cut), text.substr(start));
}

}  // namespace

void Cgroups::read_mounts() {
  if (mounts_) return;
  mounts_.emplace();
  const absl::StatusOr<std::string> text = read_file(mountinfo_, 16 * kMostBytes);
  if (!text.ok()) return;
  for (std::string_view line : split(*text, '\n')) {
    const std::size_t middle = line.find(" - ");
    if (middle == std::string_view::npos) continue;
    const std::vector<std::string_view> left = split(line.substr(0, middle), ' ');
    const std::vector<std::string_view> right = split(line.substr(middle + 3), ' ');
    if (left.size() < 6 || right.size() < 3 || (right[0] != "cgroup" && right[0] != "cgroup2")) continue;
    Mount mount{unescaped(left[4]), unescaped(left[3]), right[0] == "cgroup2", {}};
    if (mount.root == "/") mount.root.clear();
    for (std::string_view option : split(right[2], ',')) mount.controllers.emplace_back(option);
    mounts_->push_back(std::move(mount));
  }
}

// The hierarchy of version 1 that has the controller, else that of version 2. What is outside of the part
// that is mounted, or of our namespace ("/.."), isn't to be seen.
std::optional<Cgroups::Place> Cgroups::place_of(std::string_view groups, std::string_view controller) {
  read_mounts();
  std::optional<std::string_view> v1;
  std::optional<std::string_view> v2;
  for (std::string_view line : split(groups, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view names = line.substr(first + 1, second - first - 1);
    const std::string_view path = line.substr(second + 1);
    if (line.starts_with("0::")) v2 = path;
    for (std::string_view name : split(names, ',')) {
      if (name == controller) v1 = path;
    }
  }
  const std::optional<std::string_view> group = v1 ? v1 : v2;
  if (!group || !group->starts_with('/') || group->find("/..") != std::string_view::npos) return std::nullopt;
  const std::string_view path = *group == "/" ? std::string_view() : *group;
  for (const Mount& mount : *mounts_) {
    if (mount.is_v2 == v1.has_value()) continue;
    if (v1 && std::ranges::find(mount.controllers, controller) == mount.controllers.end()) continue;
    if (!path.starts_with(mount.root)) continue;
    const std::string_view below = path.substr(mount.root.size());
    if (!below.empty() && below[0] != '/') continue;
    return Place{mount.folder, std::string(below), mount.root, mount.is_v2};
  }
  return std::nullopt;
}

void Cgroups::look_at_cpu(const std::string& groups, State& state, std::vector<MetricPoint>& points) {
  std::optional<Place> at = place_of(groups, "cpu");
  if (!at) return;
  std::optional<CpuLimit> least;
  do {
    const std::string folder = at->mount + at->below;
    const std::optional<double> cpus = cpu_limit_in(folder, at->is_v2);
    if (cpus && (!least || *cpus < least->cpus))
      least = CpuLimit{shown(at->prefix + at->below), folder, *cpus, at->is_v2};
  } while (go_up(at->below));
  if (!least) return;
  if (std::exchange(state.cpu_group, least->folder) != least->folder)
    state.periods = state.throttled_periods = state.throttled_ns = Increase();
  const std::string stat = text_of(least->folder, "cpu.stat");
  if (const auto periods = number_of(stat, "nr_periods")) state.periods.see(*periods);
  if (const auto throttled = number_of(stat, "nr_throttled")) state.throttled_periods.see(*throttled);
  if (const auto us = number_of(stat, "throttled_usec")) state.throttled_ns.see(*us * 1000);
  if (const auto ns = number_of(stat, "throttled_time")) state.throttled_ns.see(*ns);
  points.push_back({&kContainerCpuLimit, least->path, 0, least->cpus});
  const auto add = [&](const MetricInfo& metric, std::optional<double> value, double divisor) {
    if (value) points.push_back({&metric, least->path, 0, *value / divisor});
  };
  add(kContainerCpuPeriods, state.periods.take(), 1);
  add(kContainerThrottledPeriods, state.throttled_periods.take(), 1);
  add(kContainerThrottledTime, state.throttled_ns.take(), 1e9);
}

// What is used of a limit is what the group that has it uses.
void Cgroups::look_at_memory(const std::string& groups, std::vector<MetricPoint>& points) {
  std::optional<Place> at = place_of(groups, "memory");
  if (!at) return;
  std::optional<std::uint64_t> least;
  std::string folder_of_least;
  std::string path_of_least;
  do {
    const std::string folder = at->mount + at->below;
    const std::optional<std::uint64_t> limit = memory_limit_in(folder, at->is_v2);
    if (!limit || (least && *limit >= *least)) continue;
    least = limit;
    folder_of_least = folder;
    path_of_least = shown(at->prefix + at->below);
  } while (go_up(at->below));
  if (!least) return;
  points.push_back({&kContainerMemoryLimit, path_of_least, 0, static_cast<double>(*least)});
  const char* const used = at->is_v2 ? "memory.current" : "memory.usage_in_bytes";
  if (const auto bytes = number_in(text_of(folder_of_least, used)))
    points.push_back({&kContainerMemoryUsage, path_of_least, 0, static_cast<double>(*bytes)});
}

void Cgroups::look(const std::string& groups, State& state) {
  std::vector<MetricPoint> points;
  look_at_cpu(groups, state, points);
  look_at_memory(groups, points);
  state.points = std::move(points);
  state.idle_windows = 0;
}

void Cgroups::meet(const std::string& groups) {
  if (groups.empty() || states_.contains(groups) || states_.size() >= kMostStates) return;
  State& state = states_[groups];
  look(groups, state);
  state.points.reset();  // levels are those at the window's end
}

const std::vector<MetricPoint>& Cgroups::points_of(const std::string& groups) {
  static const std::vector<MetricPoint> none;
  meet(groups);
  const auto found = states_.find(groups);
  if (found == states_.end()) return none;
  if (!found->second.points) look(groups, found->second);
  return *found->second.points;
}

void Cgroups::end_window() {
  for (auto& [groups, state] : states_) {
    ++state.idle_windows;
    state.points.reset();
  }
  std::erase_if(states_, [](const auto& entry) { return entry.second.idle_windows > 1; });
}

}  // namespace siprof::client
