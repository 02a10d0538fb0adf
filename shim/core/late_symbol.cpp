// SPDX-License-Identifier: Apache-2.0
#include "shim/core/late_symbol.h"

#include <link.h>

#include "shim/base/elf_lookup.h"
#include "shim/base/text.h"
#include "shim/core/unmaps.h"

namespace siprof::shim {
namespace {

// The modules that the loader brought before the program's first instruction: none of them is ever unloaded,
// and what they define comes before all that is loaded later. 0: not counted yet, nothing else is loaded.
SIPROF_EARLY constinit std::uint32_t g_modules_of_start = 0;

struct Strings {
  const char* soname = nullptr;
  const char* table = nullptr;
};

const Elf64_Dyn* dynamic_of(const dl_phdr_info& module) {
  for (int i = 0; i < module.dlpi_phnum; ++i) {
    if (module.dlpi_phdr[i].p_type == PT_DYNAMIC)
      return reinterpret_cast<const Elf64_Dyn*>(module.dlpi_addr + module.dlpi_phdr[i].p_vaddr);
  }
  return nullptr;
}

bool holds(const dl_phdr_info& module, std::uint64_t address) {
  for (int i = 0; i < module.dlpi_phnum; ++i) {
    const Elf64_Phdr& part = module.dlpi_phdr[i];
    if (part.p_type == PT_LOAD && address - module.dlpi_addr - part.p_vaddr < part.p_memsz) return true;
  }
  return false;
}

Strings strings_of(std::uint64_t bias, const Elf64_Dyn* dynamic) {
  std::uint64_t table = 0;
  std::uint64_t soname = 0;
  for (const Elf64_Dyn* entry = dynamic; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_STRTAB) table = entry->d_un.d_ptr;
    if (entry->d_tag == DT_SONAME) soname = entry->d_un.d_val;
  }
  if (table == 0) return {};
  if (table < bias) table += bias;
  const auto* text = reinterpret_cast<const char*>(table);
  return {soname != 0 ? text + soname : nullptr, text};
}

// One pass over the modules. Of plugins that each brought a definition of their own a call means its own
// module's, else the one that its module needs, directly or by others.
struct Search {
  const char* name;
  std::uint64_t site;
  std::uint32_t index = 0;
  bool past_us = false;

  void* of_start = nullptr;
  void* of_caller = nullptr;
  void* first = nullptr;
  std::uint32_t definitions = 0;

  // Files that the caller's module needs; by the names that modules need each other by.
  static constexpr std::uint32_t kMostNeeded = 64;
  const char* needed[kMostNeeded] = {};
  std::uint32_t needed_count = 0;
  void* of_needed = nullptr;

  bool needs(const char* soname) const {
    for (std::uint32_t i = 0; i < needed_count; ++i) {
      if (equal(needed[i], soname)) return true;
    }
    return false;
  }
  void need_all_of(const Elf64_Dyn* dynamic, const char* strings) {
    for (const Elf64_Dyn* entry = dynamic; entry->d_tag != DT_NULL; ++entry) {
      if (entry->d_tag != DT_NEEDED || needed_count == kMostNeeded) continue;
      const char* file = strings + entry->d_un.d_val;
      if (!needs(file)) needed[needed_count++] = file;
    }
  }
};

int look_for_definition(dl_phdr_info* module, std::size_t, void* context) {
  auto& search = *static_cast<Search*>(context);
  const std::uint32_t index = search.index++;
  const Elf64_Dyn* dynamic = dynamic_of(*module);
  if (dynamic == _DYNAMIC) search.past_us = true;
  if (dynamic == nullptr || !search.past_us || dynamic == _DYNAMIC) return 0;
  void* address = defined_in(module->dlpi_addr, dynamic, search.name);
  if (address != nullptr) {
    if (g_modules_of_start == 0 || index < g_modules_of_start) {
      search.of_start = address;
      return 1;
    }
    ++search.definitions;
    if (search.first == nullptr) search.first = address;
  }
  if (!holds(*module, search.site)) return 0;
  search.of_caller = address;
  search.need_all_of(dynamic, strings_of(module->dlpi_addr, dynamic).table);
  return 0;
}

int look_among_needed(dl_phdr_info* module, std::size_t, void* context) {
  auto& search = *static_cast<Search*>(context);
  const Elf64_Dyn* dynamic = dynamic_of(*module);
  if (dynamic == nullptr || dynamic == _DYNAMIC) return 0;
  const Strings strings = strings_of(module->dlpi_addr, dynamic);
  if (strings.soname == nullptr || !search.needs(strings.soname)) return 0;
  search.of_needed = defined_in(module->dlpi_addr, dynamic, search.name);
  if (search.of_needed != nullptr) return 1;
  search.need_all_of(dynamic, strings.table);
  return 0;
}

void* choose(Search& search) {
  if (search.of_start != nullptr) return search.of_start;
  if (search.of_caller != nullptr) return search.of_caller;
  if (search.definitions < 2) return search.first;
  for (std::uint32_t before = ~0u; search.needed_count != before && search.of_needed == nullptr;) {
    before = search.needed_count;
    dl_iterate_phdr(look_among_needed, &search);
  }
  return search.of_needed != nullptr ? search.of_needed : search.first;
}

}  // namespace

void note_modules_of_start() {
  g_modules_of_start = count_modules();
}

std::uint32_t modules_of_start() {
  return g_modules_of_start;
}

void* LateSymbol::find(const char* name, std::uint64_t site) {
  if (void* known = for_good_.load(std::memory_order_relaxed)) return known;
  if (void* lasting = find_next_for_good(name).address) {
    for_good_.store(lasting, std::memory_order_relaxed);
    return lasting;
  }
  // Another module's call in the same place has another generation.
  const std::uint32_t generation = unmap_generation();
  Found& here = sites_[(site ^ site >> 6 ^ site >> 12) % kSites];
  if (generation != kUnmapping) {
    if (void* known = recall(for_all_, 0, generation)) return known;
    if (void* known = recall(here, site, generation)) return known;
  }
  Search search{name, site};
  dl_iterate_phdr(look_for_definition, &search);
  void* address = choose(search);
  if (address == nullptr || generation != unmap_generation() || generation == kUnmapping) return address;
  if (search.of_start != nullptr)
    keep(for_all_, 0, generation, address);
  else
    keep(here, site, generation, address);
  return address;
}

void* LateSymbol::recall(const Found& found, std::uint64_t site, std::uint32_t generation) {
  const std::uint32_t before = found.sequence.load(std::memory_order_acquire);
  const bool same = found.site.load(std::memory_order_relaxed) == site &&
                    found.generation.load(std::memory_order_relaxed) == generation;
  void* address = found.address.load(std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_acquire);
  const bool whole = (before & 1) == 0 && found.sequence.load(std::memory_order_relaxed) == before;
  return same && whole ? address : nullptr;
}

// Who comes while another one writes leaves it: it is found again.
void LateSymbol::keep(Found& found, std::uint64_t site, std::uint32_t generation, void* address) {
  std::uint32_t sequence = found.sequence.load(std::memory_order_relaxed);
  if ((sequence & 1) != 0 || !found.sequence.compare_exchange_strong(sequence, sequence + 1)) return;
  std::atomic_thread_fence(std::memory_order_release);
  found.site.store(site, std::memory_order_relaxed);
  found.generation.store(generation, std::memory_order_relaxed);
  found.address.store(address, std::memory_order_relaxed);
  found.sequence.store(sequence + 2, std::memory_order_release);
}

}  // namespace siprof::shim
