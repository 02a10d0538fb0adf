// SPDX-License-Identifier: Apache-2.0
#include "collector-client/metrics/proc_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <vector>

#include "collector-client/base/text.h"
#include "collector-client/base/unique_fd.h"

namespace siprof::client {
namespace {

// A status holds a line of the process's groups, of which there may be many thousand.
constexpr std::size_t kMostBytes = 1u << 20;
constexpr std::size_t kUsualBytes = 4096;

std::optional<std::uint64_t> number_in(std::string_view text, int base = 10) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// What is behind "NAME:" at the beginning of a line, without blanks around it.
std::optional<std::string_view> line_behind(std::string_view text, std::string_view name) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ':') continue;
    line.remove_prefix(name.size() + 1);
    return trim(line);
  }
  return std::nullopt;
}

// nullopt: it can't be read, or there are more.
std::optional<std::uint64_t> count_entries(int folder_fd, const char* name, std::uint64_t most) {
  const int fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* folder = fd >= 0 ? fdopendir(fd) : nullptr;
  if (folder == nullptr) {
    if (fd >= 0) close(fd);
    return std::nullopt;
  }
  std::uint64_t count = 0;
  while (const dirent* entry = readdir(folder)) {
    count += entry->d_name[0] != '.';
    if (count > most) break;
  }
  closedir(folder);
  return count <= most ? std::optional(count) : std::nullopt;
}

}  // namespace

std::optional<ProcStat> parse_stat(std::string_view text) {
  // The name in parentheses is the program's choice, parentheses, blanks and all.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos || text.size() < name_end + 3) return std::nullopt;
  const std::vector<std::string_view> fields = split(trim(text.substr(name_end + 2)), ' ');
  ProcStat stat;
  const struct {
    std::size_t field;  // counted from the state
    std::uint64_t& into;
  } wanted[] = {{7, stat.minor_faults},   {9, stat.major_faults},   {11, stat.user_ticks},
                {12, stat.system_ticks},  {17, stat.threads},       {19, stat.start_ticks},
                {20, stat.virtual_bytes}, {21, stat.resident_pages}};
  if (fields.size() < 22 || fields[0].size() != 1) return std::nullopt;
  stat.state = fields[0][0];
  for (const auto& [field, into] : wanted) {
    const std::optional<std::uint64_t> value = number_in(fields[field]);
    if (!value) return std::nullopt;
    into = *value;
  }
  return stat;
}

std::optional<std::uint64_t> number_behind(std::string_view text, std::string_view name) {
  const std::optional<std::string_view> line = line_behind(text, name);
  return line ? number_in(line->substr(0, line->find(' '))) : std::nullopt;
}

std::optional<std::uint64_t> allowed_cpus(std::string_view status) {
  const std::optional<std::string_view> line = line_behind(status, "Cpus_allowed");
  if (!line) return std::nullopt;
  std::uint64_t cpus = 0;
  for (const std::string_view word : split(*line, ',')) {
    const std::optional<std::uint64_t> bits = number_in(word, 16);
    if (!bits) return std::nullopt;
    cpus += static_cast<std::uint64_t>(std::popcount(*bits));
  }
  return cpus != 0 ? std::optional(cpus) : std::nullopt;
}

std::string_view ProcFolder::read(const char* file) {
  if (fd_ < 0) return {};
  const UniqueFd fd(openat(fd_, file, O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  if (text_.size() < kUsualBytes) text_.resize(kUsualBytes);
  std::size_t bytes = 0;
  for (;;) {
    const ssize_t got = ::read(fd.get(), text_.data() + bytes, text_.size() - bytes);
    if (got < 0) return {};
    bytes += static_cast<std::size_t>(got);
    // It ends where a read gives less than there was room for, or nothing. These files have no holes.
    if (got == 0 || bytes < text_.size() || bytes >= kMostBytes) break;
    text_.resize(text_.size() * 2);
  }
  return std::string_view(text_).substr(0, bytes);
}

std::optional<std::uint64_t> ProcFolder::descriptors() const {
  struct stat folder {};
  struct statfs where {};
  if (fd_ < 0 || fstatat(fd_, "fd", &folder, 0) != 0) return std::nullopt;
  const bool is_proc = fstatfs(fd_, &where) == 0 && where.f_type == PROC_SUPER_MAGIC;
  if (is_proc && folder.st_size > 0) return static_cast<std::uint64_t>(folder.st_size);
  return count_entries(fd_, "fd", kMostCounted);
}

}  // namespace siprof::client
