// SPDX-License-Identifier: Apache-2.0
// See module_map.h.
#include "collector-client/unwind/module_map.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_replace.h"

namespace siprof::client {
namespace {

constexpr std::uint64_t kVsyscallPage = 0xffffffffff600000;  // not the process's, no code that samples see

std::string file_path(std::string_view written) {
  constexpr std::string_view kDeleted = " (deleted)";
  if (written.ends_with(kDeleted)) written.remove_suffix(kDeleted.size());
  std::string path(written);
  if (path.find('\\') != std::string::npos) absl::StrReplaceAll({{"\\012", "\n"}}, &path);
  return path;
}

}  // namespace

ModuleMap::ModuleMap(ModuleCache& cache, std::shared_ptr<FileOpener> opener, const Module* anonymous)
    : cache_(cache), opener_(std::move(opener)), anonymous_(anonymous) {}

ModuleMap::~ModuleMap() {
  for (const auto& known : known_) release(*known);
}

void ModuleMap::release(const Known& known) {
  const Module* module = known.mapping.module;
  if (module != nullptr && module != anonymous_) cache_.release(module);
}

bool ModuleMap::update(std::string_view maps_text) {
  std::vector<std::unique_ptr<Known>> next;
  next.reserve(known_.size());
  while (!maps_text.empty()) {
    const std::size_t end = std::min(maps_text.find('\n'), maps_text.size());
    const std::string_view text = maps_text.substr(0, end);
    maps_text.remove_prefix(std::min(end + 1, maps_text.size()));
    if (text.empty()) continue;
    const std::optional<MapsLine> line = parse_maps_line(text);
    if (!line || (!next.empty() && line->start < next.back()->line.end)) {
      ++malformed_lines_;
    } else if (line->executable && line->start != kVsyscallPage) {
      std::unique_ptr<Known> known = take_known(*line);
      next.push_back(known != nullptr ? std::move(known) : resolve(*line));
    }
  }
  known_.swap(next);
  // What is left in `next` is gone from the process.
  for (const auto& gone : next) {
    if (gone != nullptr) release(*gone);
  }
  std::vector<CodeMapping> mappings;
  mappings.reserve(known_.size());
  for (const auto& known : known_) mappings.push_back(known->mapping);
  if (mappings == mappings_) return false;
  mappings_.swap(mappings);
  ++generation_;
  return true;
}

// The unchanged line's entry, moved out of known_. Lines come in order of addresses.
std::unique_ptr<ModuleMap::Known> ModuleMap::take_known(const MapsLine& line) {
  const auto at =
      std::lower_bound(mappings_.begin(), mappings_.end(), line.start,
                       [](const CodeMapping& mapping, std::uint64_t start) { return mapping.start < start; });
  if (at == mappings_.end()) return nullptr;
  std::unique_ptr<Known>& known = known_[static_cast<std::size_t>(at - mappings_.begin())];
  if (known == nullptr || known->line != line) return nullptr;
  return std::move(known);
}

std::unique_ptr<ModuleMap::Known> ModuleMap::resolve(const MapsLine& line) {
  auto known = std::make_unique<Known>();
  known->path = line.path;
  known->line = line;
  known->line.path = known->path;
  CodeMapping& mapping = known->mapping;
  mapping = {.start = line.start, .end = line.end, .bias = 0, .module = anonymous_};
  if (line.path == "[vdso]") {
    mapping.module = cache_.vdso();
  } else if (line.path.starts_with('/') && line.inode != 0) {
    mapping.module = cache_.acquire({file_path(line.path), line.device, line.inode}, opener_);
  }
  const ElfImage* image = mapping.module != nullptr ? mapping.module->image.get() : nullptr;
  // Without the file its own addresses are unknown; offsets in it stand for them.
  std::optional<std::uint64_t> address = line.file_offset;
  if (mapping.module == anonymous_) address = line.start;
  if (image != nullptr) address = image->address_of_offset(line.file_offset);
  if (!address) {
    // Mapped executable, yet no code segment of the file (a JIT's memory file, for example).
    release(*known);
    mapping.module = anonymous_;
    address = line.start;
  }
  mapping.bias = line.start - *address;
  return known;
}

std::unique_ptr<const ModuleMap> ModuleMap::snapshot(const absl::flat_hash_set<const Module*>* only) const {
  auto copy = std::make_unique<ModuleMap>(cache_, opener_, anonymous_);
  for (const auto& known : known_) {
    const Module* module = known->mapping.module;
    if (only != nullptr && !only->contains(module)) continue;
    if (module != nullptr && module != anonymous_) cache_.retain(module);
    auto own = std::make_unique<Known>(*known);
    own->line.path = own->path;
    copy->known_.push_back(std::move(own));
    copy->mappings_.push_back(known->mapping);
  }
  return copy;
}

const CodeMapping* ModuleMap::find(std::uint64_t address) const {
  auto after =
      std::upper_bound(mappings_.begin(), mappings_.end(), address,
                       [](std::uint64_t value, const CodeMapping& mapping) { return value < mapping.start; });
  if (after == mappings_.begin()) return nullptr;
  const CodeMapping& mapping = *std::prev(after);
  return address < mapping.end ? &mapping : nullptr;
}

CodeAddress ModuleMap::locate(std::uint64_t address) const {
  const CodeMapping* mapping = find(address);
  if (mapping == nullptr) return {nullptr, address};
  return {mapping->module, address - mapping->bias};
}

}  // namespace siprof::client
