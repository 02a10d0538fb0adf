// SPDX-License-Identifier: Apache-2.0
// See dwarf_index.h. libdw's own look-ups walk a whole unit for every address and need
// .debug_aranges, which clang does not write; here each unit's functions are listed once.
#include "collector-client/symbolize/dwarf_index.h"

#include <dwarf.h>

#include <algorithm>

#include "collector-client/symbolize/worker_protocol.h"

namespace siprof::client {
namespace {

constexpr int kMaxScopeDepth = 64;
constexpr std::size_t kMaxRangesPerDie = 100000;

std::int64_t number(Dwarf_Die* die, unsigned name) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  return dwarf_formudata(dwarf_attr_integrate(die, name, &attribute), &value) == 0
             ? static_cast<std::int64_t>(value)
             : 0;
}

// Where a function that was inlined here is called from.
void set_call_site(Dwarf_Die* inlined, Dwarf_Die* unit, SourceFrame& caller) {
  caller.line = number(inlined, DW_AT_call_line);
  const auto file = static_cast<std::size_t>(number(inlined, DW_AT_call_file));
  Dwarf_Files* files = nullptr;
  std::size_t count = 0;
  if (dwarf_getsrcfiles(unit, &files, &count) != 0 || file >= count) return;
  const char* name = dwarf_filesrc(files, file, nullptr, nullptr);
  if (name != nullptr) caller.file = name;
}

void set_line(Dwarf_Die* unit, std::uint64_t address, SourceFrame& frame) {
  Dwarf_Line* line = dwarf_getsrc_die(unit, address);
  int number = 0;
  if (line == nullptr) return;
  const char* name = dwarf_linesrc(line, nullptr, nullptr);
  if (name != nullptr) frame.file = name;
  if (dwarf_lineno(line, &number) == 0) frame.line = number;
}

bool holds_functions(int tag) {
  return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_class_type ||
         tag == DW_TAG_structure_type || tag == DW_TAG_union_type || tag == DW_TAG_subprogram ||
         tag == DW_TAG_lexical_block;
}

// The inlined functions around `address` inside `scope`, outermost first.
void collect_inlined(Dwarf_Die scope, std::uint64_t address, int depth, std::vector<Dwarf_Die>& chain) {
  Dwarf_Die child;
  if (depth > kMaxScopeDepth || chain.size() >= kMaxInlinedFrames || dwarf_child(&scope, &child) != 0) return;
  do {
    const int tag = dwarf_tag(&child);
    if (tag == DW_TAG_subprogram || dwarf_haspc(&child, address) <= 0) continue;
    if (tag == DW_TAG_inlined_subroutine) chain.push_back(child);
    collect_inlined(child, address, depth + 1, chain);
    return;
  } while (dwarf_siblingof(&child, &child) == 0);
}

}  // namespace

DwarfIndex::DwarfIndex(Dwarf* dwarf) {
  Dwarf_CU* unit = nullptr;
  Dwarf_Die die;
  Dwarf_Die split;
  std::uint8_t type = 0;
  while (dwarf_get_units(dwarf, unit, &unit, nullptr, &type, &die, &split) == 0) {
    if (type == DW_UT_skeleton && split.addr != nullptr) die = split;
    if (dwarf_tag(&die) == DW_TAG_compile_unit || type == DW_UT_skeleton) add_ranges(die, units_);
  }
  std::sort(units_.begin(), units_.end(), [](const Range& a, const Range& b) { return a.start < b.start; });
}

void DwarfIndex::add_ranges(Dwarf_Die die, std::vector<Range>& ranges) {
  Dwarf_Addr base = 0;
  Dwarf_Addr start = 0;
  Dwarf_Addr end = 0;
  std::ptrdiff_t offset = 0;
  for (std::size_t i = 0; i < kMaxRangesPerDie; ++i) {
    offset = dwarf_ranges(&die, offset, &base, &start, &end);
    if (offset <= 0) return;
    // Functions that the linker removed have address 0.
    if (start != 0 && start < end) ranges.push_back({start, end, die});
  }
}

void DwarfIndex::add_functions(Dwarf_Die parent, int depth, std::vector<Range>& functions) {
  Dwarf_Die child;
  if (depth > kMaxScopeDepth || dwarf_child(&parent, &child) != 0) return;
  do {
    const int tag = dwarf_tag(&child);
    if (tag == DW_TAG_subprogram) add_ranges(child, functions);
    if (holds_functions(tag) && dwarf_haschildren(&child) > 0) add_functions(child, depth + 1, functions);
  } while (dwarf_siblingof(&child, &child) == 0);
}

const DwarfIndex::Range* DwarfIndex::find(const std::vector<Range>& ranges, std::uint64_t address) {
  auto after = std::upper_bound(ranges.begin(), ranges.end(), address,
                                [](std::uint64_t value, const Range& range) { return value < range.start; });
  // Ranges of one level do not overlap in sane files; a few steps back forgive the others.
  for (int steps = 0; after != ranges.begin() && steps < 8; ++steps) {
    --after;
    if (address < after->end) return &*after;
  }
  return nullptr;
}

DwarfIndex::Unit& DwarfIndex::unit_of(const Dwarf_Die& die) {
  const auto [found, is_new] = parsed_.try_emplace(die.addr);
  if (is_new) {
    std::vector<Range>& functions = found->second.functions;
    add_functions(die, 0, functions);
    std::stable_sort(functions.begin(), functions.end(),
                     [](const Range& a, const Range& b) { return a.start < b.start; });
  }
  return found->second;
}

const FunctionName& DwarfIndex::name_of(Dwarf_Die die) {
  // All inlined copies of a function share its origin, and so its name.
  Dwarf_Attribute attribute;
  Dwarf_Die origin;
  if (dwarf_attr(&die, DW_AT_abstract_origin, &attribute) != nullptr &&
      dwarf_formref_die(&attribute, &origin) != nullptr) {
    die = origin;
  }
  const auto [found, is_new] = names_.try_emplace(die.addr);
  if (is_new) found->second = function_name(&die);
  return found->second;
}

SourceFrame DwarfIndex::frame_for(Dwarf_Die function) {
  const FunctionName& name = name_of(function);
  return {.name = name.name,
          .system_name = name.system_name,
          .file = "",
          .line = 0,
          .start_line = number(&function, DW_AT_decl_line)};
}

std::vector<SourceFrame> DwarfIndex::frames(std::uint64_t address) {
  const Range* unit_range = find(units_, address);
  if (unit_range == nullptr) return {};
  Dwarf_Die unit = unit_range->die;
  const Range* function = find(unit_of(unit).functions, address);
  std::vector<Dwarf_Die> chain;  // outermost first
  if (function != nullptr) {
    chain.push_back(function->die);
    collect_inlined(function->die, address, 0, chain);
  }
  std::vector<SourceFrame> frames;
  for (auto die = chain.rbegin(); die != chain.rend(); ++die) {
    frames.push_back(frame_for(*die));
    if (die == chain.rbegin()) continue;
    set_call_site(&*std::prev(die), &unit, frames.back());
  }
  if (frames.empty()) frames.emplace_back();
  set_line(&unit, address, frames.front());
  return frames;
}

}  // namespace siprof::client
