// SPDX-License-Identifier: Apache-2.0
// What a file says to the dynamic loader: symbols that it exports, and where the addresses of others' are
// put. Read from its segments alone, so stripped files do, and any thread may. The file may be hostile.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "collector-client/symbolize/elf_image.h"

namespace siprof::client {

class DynamicSymbols {
 public:
  // `image` outlives it.
  explicit DynamicSymbols(const ElfImage& image);

  struct Symbol {
    std::uint64_t address = 0;  // the file's own
    std::uint64_t bytes = 0;
  };
  // Defined in this file; of several versions one.
  std::optional<Symbol> find(std::string_view name) const;

  // Slots that the loader fills with the address of a function by that name (GOT).
  std::vector<std::uint64_t> slots_of(std::string_view name) const;

  // DT_SONAME, empty without. Valid as long as the image.
  std::string_view soname() const;

 private:
  struct Table {
    std::uint64_t address = 0;
    std::uint64_t bytes = 0;
  };
  void read_dynamic(std::uint64_t address);
  std::string_view text_at(std::uint64_t offset) const;
  bool is_named(std::uint32_t symbol, std::string_view name) const;
  std::optional<Symbol> defined(std::uint32_t index, std::string_view name) const;
  std::optional<Symbol> find_by_gnu_hash(std::string_view name) const;
  std::optional<Symbol> find_by_hash(std::string_view name) const;
  void add_slots(const Table& relocations, std::string_view name, std::vector<std::uint64_t>* slots) const;

  const ElfImage& image_;
  std::uint64_t symbols_ = 0;
  Table strings_;
  std::uint64_t gnu_hash_ = 0;
  std::uint64_t hash_ = 0;
  std::uint64_t soname_ = 0;
  bool has_soname_ = false;
  Table relocations_;
  Table plt_relocations_;
};

}  // namespace siprof::client
