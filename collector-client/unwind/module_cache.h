// SPDX-License-Identifier: Apache-2.0
// All modules of all profiled processes, one object per distinct file. ModuleMap
// asks for them while it reads /proc/PID/maps. One thread (the one that drains).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "collector-client/base/module.h"
#include "collector-client/symbolize/elf_image.h"
#include "collector-client/symbolize/file_opener.h"

namespace siprof::client {

class ModuleCache {
 public:
  // Images beyond this many are closed, the longest unused first, as soon as no process maps them.
  explicit ModuleCache(std::size_t max_idle_images = 64) : max_idle_images_(max_idle_images) {}

  // What the maps line says about the file.
  struct File {
    std::string path;  // without the " (deleted)" suffix
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
  };

  // The module for that file; never null. Its image is null when the file cannot be opened or is
  // not the file that was mapped; failures() tells why. It is the right one if inode and device
  // equal the line's (an inode can't be reused while it is mapped, so a replaced file always
  // differs). On overlayfs and btrfs stat(2) shows another device than maps does: there the inode
  // decides. Copies of a file with one build-id and one owner are one module; the owner counts so
  // that nobody's forged build-id renames the code of others.
  // The pointer counts as a use until release().
  const Module* acquire(const File& file, const std::shared_ptr<FileOpener>& opener);
  const Module* vdso();
  // Another use of a module that is in use.
  void retain(const Module* module);
  void release(const Module* module);

  // Closes images beyond the limit that nobody has used since `moment`. Only when no unwinding
  // or symbolizing of their addresses is under way.
  void trim(std::uint64_t moment);

  // Now, for trim() and idle_since(): what is released later may be in windows that aren't finished.
  std::uint64_t moment() const { return clock_; }
  // Modules without image that nobody has used since `moment`. All that is kept by them has to
  // go before evict(): afterwards another module may have the address.
  absl::flat_hash_set<const Module*> idle_since(std::uint64_t moment) const;
  void evict(const absl::flat_hash_set<const Module*>& modules);
  std::size_t size() const { return entries_.size(); }

  // Mappings whose file could not be used since the start, by the names of the profile's counters:
  // modules_unopened, modules_replaced (another file is at its path), modules_unreadable (not ELF).
  const std::map<std::string, std::uint64_t>& failures() const { return failures_; }
  std::size_t open_images() const;

 private:
  struct Entry {
    Module module;
    std::uint64_t users = 0;
    std::uint64_t last_use = 0;
  };

  Entry& entry_for(const std::string& key, const std::string& path);
  const Module* without_file(const File& file);
  // Null when it can't be used, which is counted.
  const Module* with_file(const File& file, const std::shared_ptr<FileOpener>& opener);
  const Module* failed(const char* counter);

  std::size_t max_idle_images_;
  std::uint64_t clock_ = 0;
  absl::flat_hash_map<std::string, std::unique_ptr<Entry>> entries_;  // by build-id or file identity
  absl::flat_hash_map<std::string, std::string> identity_to_key_;     // file identity -> key of entries_
  absl::flat_hash_map<const Module*, Entry*> by_module_;
  std::map<std::string, std::uint64_t> failures_;
};

}  // namespace siprof::client
