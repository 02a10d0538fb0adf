// SPDX-License-Identifier: Apache-2.0
// See module_cache.h.
#include "collector-client/unwind/module_cache.h"

#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "collector-client/base/descriptors.h"

namespace siprof::client {
namespace {

constexpr auto kOverlayfs = 0x794c7630;
constexpr auto kBtrfs = 0x9123683E;

bool is_same_file(int fd, const struct stat& status, const ModuleCache::File& file) {
  if (status.st_ino == file.inode && status.st_dev == file.device) return true;
  struct statfs system;
  const bool other_device_allowed =
      fstatfs(fd, &system) == 0 && (system.f_type == kOverlayfs || system.f_type == kBtrfs);
  return status.st_ino == file.inode && other_device_allowed;
}

std::string file_identity(const struct stat& status) {
  return absl::StrCat(status.st_dev, ":", status.st_ino, ":", status.st_mtim.tv_sec, ".",
                      status.st_mtim.tv_nsec, ":", status.st_size);
}

void describe_text(Module& module) {
  for (const Segment& segment : module.image->segments()) {
    if (!segment.executable) continue;
    module.text_start = segment.address;
    module.text_end = segment.address + segment.memory_bytes;
    module.text_file_offset = segment.file_offset;
    return;
  }
}

}  // namespace

ModuleCache::Entry& ModuleCache::entry_for(const std::string& key, const std::string& path) {
  std::unique_ptr<Entry>& entry = entries_[key];
  if (entry == nullptr) {
    entry = std::make_unique<Entry>();
    entry->module.path = path;
    by_module_[&entry->module] = entry.get();
  }
  ++entry->users;
  entry->last_use = ++clock_;
  return *entry;
}

const Module* ModuleCache::acquire(const File& file, const std::shared_ptr<FileOpener>& opener) {
  const Module* module = with_file(file, opener);
  return module != nullptr ? module : without_file(file);
}

const Module* ModuleCache::with_file(const File& file, const std::shared_ptr<FileOpener>& opener) {
  absl::StatusOr<int> opened = opener->open(file.path, file.device, file.inode);
  if (!opened.ok()) return failed("modules_unopened");
  UniqueFd fd(*opened);
  if (is_reserved_descriptor(fd.get())) return failed("modules_unopened");
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return failed("modules_unopened");
  if (!is_same_file(fd.get(), status, file)) return failed("modules_replaced");
  const std::string identity = file_identity(status);
  const auto known = identity_to_key_.find(identity);
  if (known != identity_to_key_.end() && entries_[known->second]->module.image != nullptr) {
    return &entry_for(known->second, file.path).module;
  }
  auto image = ElfImage::open(std::move(fd), opener);
  if (!image.ok()) return failed("modules_unreadable");
  // Copies of one file are one module; others with its build-id (edited, or chosen by hand) aren't.
  const std::string build = (*image)->cache_key();
  const std::string key = build.empty() ? absl::StrCat("file:", identity) : absl::StrCat("build:", build);
  identity_to_key_[identity] = key;
  Entry& entry = entry_for(key, file.path);
  if (entry.module.image == nullptr) {
    entry.module.build_id = (*image)->build_id();
    entry.module.image = *std::move(image);
    describe_text(entry.module);
  }
  return &entry.module;
}

const Module* ModuleCache::failed(const char* counter) {
  ++failures_[counter];
  return nullptr;
}

const Module* ModuleCache::without_file(const File& file) {
  const std::string key = absl::StrCat("unread:", file.device, ":", file.inode, ":", file.path);
  return &entry_for(key, file.path).module;
}

const Module* ModuleCache::vdso() {
  Entry& entry = entry_for("vdso", "[vdso]");
  if (entry.module.image == nullptr && (entry.module.image = ElfImage::vdso()) != nullptr) {
    entry.module.build_id = entry.module.image->build_id();
    describe_text(entry.module);
  }
  return &entry.module;
}

void ModuleCache::retain(const Module* module) {
  if (const auto found = by_module_.find(module); found != by_module_.end()) ++found->second->users;
}

void ModuleCache::release(const Module* module) {
  const auto found = by_module_.find(module);
  if (found == by_module_.end() || found->second->users == 0) return;
  --found->second->users;
  found->second->last_use = ++clock_;
}

std::size_t ModuleCache::open_images() const {
  return static_cast<std::size_t>(std::count_if(entries_.begin(), entries_.end(), [](const auto& entry) {
    return entry.second->module.image != nullptr;
  }));
}

void ModuleCache::trim(std::uint64_t moment) {
  std::vector<Entry*> idle;
  for (const auto& [key, entry] : entries_) {
    if (entry->users == 0 && entry->module.image != nullptr && entry->last_use <= moment)
      idle.push_back(entry.get());
  }
  if (idle.size() <= max_idle_images_) return;
  std::sort(idle.begin(), idle.end(),
            [](const Entry* a, const Entry* b) { return a->last_use < b->last_use; });
  idle.resize(idle.size() - max_idle_images_);
  for (Entry* entry : idle) entry->module.image = nullptr;
  absl::erase_if(identity_to_key_,
                 [&](const auto& known) { return entries_[known.second]->module.image == nullptr; });
}

absl::flat_hash_set<const Module*> ModuleCache::idle_since(std::uint64_t moment) const {
  absl::flat_hash_set<const Module*> idle;
  for (const auto& [key, entry] : entries_) {
    if (entry->users == 0 && entry->module.image == nullptr && entry->last_use <= moment)
      idle.insert(&entry->module);
  }
  return idle;
}

void ModuleCache::evict(const absl::flat_hash_set<const Module*>& modules) {
  if (modules.empty()) return;
  absl::erase_if(identity_to_key_,
                 [&](const auto& known) { return modules.contains(&entries_[known.second]->module); });
  absl::erase_if(by_module_, [&](const auto& known) { return modules.contains(known.first); });
  absl::erase_if(entries_, [&](const auto& entry) { return modules.contains(&entry.second->module); });
}

}  // namespace siprof::client
