// SPDX-License-Identifier: Apache-2.0
// See module_name.h.
#include "collector-client/python/module_name.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "collector-client/base/text.h"
#include "collector-client/base/unique_fd.h"

namespace siprof::client {
namespace {

constexpr std::size_t kMostFolders = 4096;
constexpr std::size_t kMostDepth = 16;  // of packages in packages
constexpr std::string_view kFrozen = "<frozen ";

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> list) {
  return std::ranges::find(list, text) != list.end();
}

// "python3.11", "python3" (Debian's packages).
bool is_python_folder(std::string_view name) {
  if (!name.starts_with("python3")) return false;
  name.remove_prefix(std::string_view("python3").size());
  return std::ranges::all_of(name,
                             [](unsigned char c) { return absl::ascii_isdigit(c) || c == '.' || c == 't'; });
}

bool is_archive(std::string_view name) {
  return name.ends_with(".zip") || name.ends_with(".egg") || name.ends_with(".whl") || name.ends_with(".pyz");
}

// Behind which part of the path a module's name begins; nullopt: nothing tells.
std::optional<std::size_t> search_folder(const std::vector<std::string_view>& parts) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    if (is_one_of(parts[i], {"site-packages", "dist-packages"}) || is_archive(parts[i])) found = i;
    if (i > 0 && is_python_folder(parts[i]) && is_one_of(parts[i - 1], {"lib", "lib64"})) found = i;
  }
  return found;
}

// How many of the folders at the path's end are packages in each other.
std::size_t packages(const std::vector<std::string_view>& parts, PackageFolders& folders) {
  std::size_t count = 0;
  std::string folder;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) folder += '/' + std::string(parts[i]);
  while (count < kMostDepth && count + 1 < parts.size() && folders.is_package(folder)) {
    ++count;
    folder.resize(folder.rfind('/'));
  }
  return count;
}

std::string joined(const std::vector<std::string_view>& parts, std::size_t from) {
  std::string name;
  for (std::size_t i = from; i < parts.size(); ++i) {
    std::string_view part = parts[i];
    if (i + 1 == parts.size()) {
      for (const std::string_view ending : {".py", ".pyc", ".pyw"})
        if (part.size() > ending.size() && strip_suffix(&part, ending)) break;
      // A package's own code.
      if (part == "__init__" && !name.empty()) break;
    }
    if (!name.empty()) name += '.';
    name += part;
  }
  return name;
}

}  // namespace

bool PackageFolders::is_package(const std::string& folder) {
  if (const auto known = known_.find(folder); known != known_.end()) return known->second;
  if (opener_ == nullptr || known_.size() >= kMostFolders) return false;
  absl::StatusOr<int> file = opener_->open(folder + "/__init__.py", 0, 0);
  const bool is_one = file.ok();
  if (is_one) UniqueFd(*file).reset();
  return known_.emplace(folder, is_one).first->second;
}

std::string module_name(std::string_view file, PackageFolders& folders) {
  if (file.starts_with('<')) {
    const bool is_frozen = file.starts_with(kFrozen) && file.ends_with('>');
    if (is_frozen) file = file.substr(kFrozen.size(), file.size() - kFrozen.size() - 1);
    return std::string(file);
  }
  std::vector<std::string_view> parts = split(file, '/');
  std::erase_if(parts, [](std::string_view part) { return part.empty() || part == "."; });
  if (parts.empty()) return "";
  if (const auto folder = search_folder(parts)) return joined(parts, *folder + 1);
  // Where a relative path begins isn't known; what it says is.
  if (!file.starts_with('/')) return joined(parts, parts[0] == ".." ? parts.size() - 1 : 0);
  return joined(parts, parts.size() - 1 - packages(parts, folders));
}

std::string python_function_name(std::string_view module, std::string_view qualified_name) {
  std::string name(module);
  if (!module.empty() && !qualified_name.empty()) name += '.';
  return name += qualified_name;
}

}  // namespace siprof::client
