// SPDX-License-Identifier: Apache-2.0
#include "collector-client/agent/libc_version.h"

#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "collector-client/symbolize/elf_image.h"

namespace siprof::client {
namespace {

bool is_libc(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name == "libc.so.6" || (name.starts_with("libc-2.") && name.ends_with(".so"));
}

std::string version_in(const ElfImage& image) {
  constexpr std::string_view kBefore = "release version ";
  for (const Segment& segment : image.segments()) {
    const auto bytes = image.at(segment.address);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::size_t at = text.find(kBefore);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = text.substr(at + kBefore.size(), 16);
    return std::string(rest.substr(0, rest.find_first_not_of("0123456789.")));
  }
  return "";
}

// One look a libc, however many processes map it.
absl::flat_hash_map<const Module*, std::string>& known_versions() {
  static auto& known = *new absl::flat_hash_map<const Module*, std::string>();
  return known;
}

}  // namespace

void forget_libc_versions(const absl::flat_hash_set<const Module*>& modules) {
  absl::erase_if(known_versions(), [&](const auto& known) { return modules.contains(known.first); });
}

std::string libc_version(const ModuleMap& map) {
  auto& known = known_versions();
  for (const CodeMapping& mapping : map.mappings()) {
    const Module* module = mapping.module;
    if (module == nullptr || module->image == nullptr || !is_libc(module->path)) continue;
    const auto [at, is_new] = known.try_emplace(module);
    if (is_new) {
      at->second = version_in(*module->image);
      if (at->second.ends_with(".")) at->second.pop_back();
    }
    return at->second;
  }
  return "";
}

}  // namespace siprof::client
