// SPDX-License-Identifier: Apache-2.0
// The next definition of a symbol that libraries bring and take while the program runs: the C++ runtime's,
// which a C program gets with its first plugin, perhaps another one with the second.
#pragma once

#include <atomic>
#include <cstdint>

namespace siprof::shim {

class LateSymbol {
 public:
  // What a call of `name`, the same every time, that returns to `site` would have reached without this
  // library, null if nothing. Found again when code has been unmapped since. Context: any thread that may
  // throw; takes the lock of dl_iterate_phdr where it has to look among what
  // came later than libc.
  void* find(const char* name, std::uint64_t site);

 private:
  struct Found {
    std::atomic<std::uint32_t> sequence{0};  // odd while it is written; release, acquire in readers
    std::atomic<std::uint32_t> generation{0};
    std::atomic<std::uint64_t> site{0};
    std::atomic<void*> address{nullptr};  // null: empty
  };
  static constexpr std::uint32_t kSites = 64;

  static void* recall(const Found& found, std::uint64_t site, std::uint32_t generation);
  static void keep(Found& found, std::uint64_t site, std::uint32_t generation, void* address);

  std::atomic<void*> for_good_{nullptr};  // what came with the program before libc: relaxed, it never changes
  Found for_all_;                         // what the program itself came with serves every site
  Found sites_[kSites];                   // else it depends on who calls; by a hash of the site
};

// How many modules there are when the program starts. Context: constructor.
void note_modules_of_start();
// Of the loader's list, the first ones. Context: any thread, after the constructor.
std::uint32_t modules_of_start();

}  // namespace siprof::shim
