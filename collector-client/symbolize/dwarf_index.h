// SPDX-License-Identifier: Apache-2.0
// Source lines and inlined functions of one file's DWARF. Runs in the symbol worker.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <map>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "collector-client/symbolize/dwarf_names.h"
#include "collector-client/symbolize/source_frame.h"

namespace siprof::client {

class DwarfIndex {
 public:
  // `dwarf` must outlive the index.
  explicit DwarfIndex(Dwarf* dwarf);

  // Innermost function first, empty if no unit covers the address. The last one is the function that
  // was compiled there; its name may be empty (a unit with lines alone).
  std::vector<SourceFrame> frames(std::uint64_t address);

 private:
  struct Range {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    Dwarf_Die die{};
  };
  struct Unit {
    std::vector<Range> functions;  // by start
  };

  static const Range* find(const std::vector<Range>& ranges, std::uint64_t address);
  static void add_ranges(Dwarf_Die die, std::vector<Range>& ranges);
  static void add_functions(Dwarf_Die parent, int depth, std::vector<Range>& functions);
  Unit& unit_of(const Dwarf_Die& die);
  const FunctionName& name_of(Dwarf_Die die);
  SourceFrame frame_for(Dwarf_Die function);

  std::vector<Range> units_;
  // By where the DIE is in memory: offsets repeat in dwz's alternate files.
  absl::flat_hash_map<const void*, Unit> parsed_;
  absl::flat_hash_map<const void*, FunctionName> names_;
};

}  // namespace siprof::client
