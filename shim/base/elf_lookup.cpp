// SPDX-License-Identifier: Apache-2.0
#include "shim/base/elf_lookup.h"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

#include <cstdint>

#include "shim/base/text.h"

namespace siprof::shim {
namespace {

struct Tables {
  const Elf64_Sym* symbols = nullptr;
  const char* strings = nullptr;
  const std::uint16_t* versions = nullptr;  // bit 15: not the default one
  const Elf64_Verdef* version_names = nullptr;
  const std::uint32_t* gnu_hash = nullptr;
  const std::uint32_t* sysv_hash = nullptr;
};

// glibc relocates d_ptr in place, except in the vDSO and on a few targets.
std::uint64_t absolute(std::uint64_t bias, std::uint64_t value) {
  return value < bias ? value + bias : value;
}

Tables tables_of(std::uint64_t bias, const Elf64_Dyn* dynamic) {
  Tables tables;
  for (const Elf64_Dyn* entry = dynamic; entry->d_tag != DT_NULL; ++entry) {
    const std::uint64_t at = absolute(bias, entry->d_un.d_ptr);
    if (entry->d_tag == DT_SYMTAB) tables.symbols = reinterpret_cast<const Elf64_Sym*>(at);
    if (entry->d_tag == DT_STRTAB) tables.strings = reinterpret_cast<const char*>(at);
    if (entry->d_tag == DT_VERSYM) tables.versions = reinterpret_cast<const std::uint16_t*>(at);
    if (entry->d_tag == DT_VERDEF) tables.version_names = reinterpret_cast<const Elf64_Verdef*>(at);
    if (entry->d_tag == DT_GNU_HASH) tables.gnu_hash = reinterpret_cast<const std::uint32_t*>(at);
    if (entry->d_tag == DT_HASH) tables.sysv_hash = reinterpret_cast<const std::uint32_t*>(at);
  }
  return tables;
}

constexpr std::uint16_t kDefaultVersion = 0;  // where the number of a version is asked for

// The number that the module has for the version. One that it doesn't define: VER_NDX_GLOBAL, that of symbols
// without version, which serve for any.
std::uint16_t version_number(const Tables& tables, const char* version) {
  const Elf64_Verdef* entry = tables.version_names;
  while (entry != nullptr) {
    const auto* at = reinterpret_cast<const char*>(entry);
    const auto* first = reinterpret_cast<const Elf64_Verdaux*>(at + entry->vd_aux);
    if ((entry->vd_flags & VER_FLG_BASE) == 0 && equal(tables.strings + first->vda_name, version))
      return entry->vd_ndx;
    entry = entry->vd_next == 0 ? nullptr : reinterpret_cast<const Elf64_Verdef*>(at + entry->vd_next);
  }
  return VER_NDX_GLOBAL;
}

bool has_version(std::uint16_t versions_entry, std::uint16_t wanted) {
  const bool is_hidden = (versions_entry & 0x8000) != 0;
  if (wanted == kDefaultVersion) return !is_hidden;
  return (versions_entry & 0x7fff) == wanted || versions_entry == VER_NDX_GLOBAL;
}

bool defines(const Tables& tables, std::uint32_t index, const char* name, std::uint16_t version) {
  const Elf64_Sym& symbol = tables.symbols[index];
  const int type = ELF64_ST_TYPE(symbol.st_info);
  if (symbol.st_shndx == SHN_UNDEF || symbol.st_value == 0) return false;
  if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_OBJECT) return false;
  if (tables.versions != nullptr && !has_version(tables.versions[index], version)) return false;
  return equal(tables.strings + symbol.st_name, name);
}

std::uint32_t gnu_hash_of(const char* name) {
  std::uint32_t hash = 5381;
  for (; *name != '\0'; ++name) hash = hash * 33 + static_cast<unsigned char>(*name);
  return hash;
}

// Layout: buckets, first symbol, bloom words, shift; then bloom, buckets, chains.
const Elf64_Sym* find_gnu(const Tables& tables, const char* name, std::uint16_t version) {
  const std::uint32_t hash = gnu_hash_of(name);
  const std::uint32_t bucket_count = tables.gnu_hash[0];
  const std::uint32_t first = tables.gnu_hash[1];
  const std::uint32_t bloom_words = tables.gnu_hash[2];
  const std::uint32_t shift = tables.gnu_hash[3];
  if (bucket_count == 0 || bloom_words == 0) return nullptr;
  const auto* bloom = reinterpret_cast<const std::uint64_t*>(tables.gnu_hash + 4);
  const std::uint64_t word = bloom[(hash / 64) % bloom_words];
  if ((word >> (hash % 64) & word >> ((hash >> shift) % 64) & 1) == 0) return nullptr;
  const auto* buckets = reinterpret_cast<const std::uint32_t*>(bloom + bloom_words);
  const std::uint32_t* chains = buckets + bucket_count;
  for (std::uint32_t i = buckets[hash % bucket_count]; i >= first; ++i) {
    const std::uint32_t entry = chains[i - first];
    if ((entry | 1) == (hash | 1) && defines(tables, i, name, version)) return &tables.symbols[i];
    if ((entry & 1) != 0) return nullptr;
  }
  return nullptr;
}

const Elf64_Sym* find_sysv(const Tables& tables, const char* name, std::uint16_t version) {
  const std::uint32_t bucket_count = tables.sysv_hash[0];
  if (bucket_count == 0) return nullptr;
  std::uint32_t hash = 0;
  for (const char* at = name; *at != '\0'; ++at) {
    hash = (hash << 4) + static_cast<unsigned char>(*at);
    hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
  }
  const std::uint32_t* buckets = tables.sysv_hash + 2;
  const std::uint32_t* chains = buckets + bucket_count;
  for (std::uint32_t i = buckets[hash % bucket_count]; i != 0; i = chains[i]) {
    if (defines(tables, i, name, version)) return &tables.symbols[i];
  }
  return nullptr;
}

// The loader's list, by the debugger's interface: the executable's DT_DEBUG.
const link_map* loaded_modules() {
  const auto* headers = reinterpret_cast<const Elf64_Phdr*>(getauxval(AT_PHDR));
  const std::uint64_t count = getauxval(AT_PHNUM);
  std::uint64_t bias = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (headers[i].p_type == PT_PHDR) bias = reinterpret_cast<std::uint64_t>(headers) - headers[i].p_vaddr;
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    if (headers[i].p_type != PT_DYNAMIC) continue;
    for (auto* entry = reinterpret_cast<const Elf64_Dyn*>(bias + headers[i].p_vaddr); entry->d_tag != DT_NULL;
         ++entry) {
      if (entry->d_tag != DT_DEBUG || entry->d_un.d_ptr == 0) continue;
      return reinterpret_cast<const r_debug*>(entry->d_un.d_ptr)->r_map;
    }
  }
  return nullptr;
}

const link_map* after_this_library() {
  for (const link_map* map = loaded_modules(); map != nullptr; map = map->l_next) {
    if (map->l_ld == _DYNAMIC) return map->l_next;
  }
  return nullptr;
}

const Elf64_Sym* symbol_in(std::uint64_t bias, const void* dynamic, const char* name,
                           const char* version = nullptr) {
  if (dynamic == nullptr) return nullptr;
  const Tables tables = tables_of(bias, static_cast<const Elf64_Dyn*>(dynamic));
  if (tables.symbols == nullptr || tables.strings == nullptr) return nullptr;
  const std::uint16_t number = version == nullptr ? kDefaultVersion : version_number(tables, version);
  if (tables.gnu_hash != nullptr) return find_gnu(tables, name, number);
  return tables.sysv_hash != nullptr ? find_sysv(tables, name, number) : nullptr;
}

const Elf64_Sym* symbol_in(const link_map* map, const char* name) {
  return symbol_in(map->l_addr, map->l_ld, name);
}

void* definition_in(const link_map* map, const char* name, const char* version = nullptr) {
  return defined_in(map->l_addr, map->l_ld, name, version);
}

}  // namespace

bool program_needs_libraries() {
  const link_map* program = loaded_modules();
  if (program == nullptr) return true;
  for (const Elf64_Dyn* entry = program->l_ld; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_NEEDED) return true;
  }
  return false;
}

void* defined_in(std::uint64_t bias, const void* dynamic, const char* name, const char* version) {
  const Elf64_Sym* symbol = symbol_in(bias, dynamic, name, version);
  if (symbol == nullptr || ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT) return nullptr;
  const std::uint64_t address = bias + symbol->st_value;
  if (ELF64_ST_TYPE(symbol->st_info) == STT_GNU_IFUNC) return reinterpret_cast<void* (*)()>(address)();
  return reinterpret_cast<void*>(address);
}

void* variable_in(std::uint64_t bias, const void* dynamic, const char* name) {
  const Elf64_Sym* symbol = symbol_in(bias, dynamic, name);
  if (symbol == nullptr || ELF64_ST_TYPE(symbol->st_info) != STT_OBJECT) return nullptr;
  return reinterpret_cast<void*>(bias + symbol->st_value);
}

std::uint32_t count_modules() {
  std::uint32_t count = 0;
  for (const link_map* map = loaded_modules(); map != nullptr; map = map->l_next) ++count;
  return count;
}

bool find_module(std::uint32_t count, bool (*take)(std::uint64_t bias, const void* dynamic)) {
  std::uint32_t i = 0;
  for (const link_map* map = loaded_modules(); map != nullptr && i < count; map = map->l_next, ++i) {
    if (take(map->l_addr, map->l_ld)) return true;
  }
  return false;
}

Definition find_next(const char* name, const char* version) {
  for (const link_map* map = after_this_library(); map != nullptr; map = map->l_next) {
    if (void* address = defined_in(map->l_addr, map->l_ld, name, version); address != nullptr)
      return {address, map};
  }
  return {nullptr, nullptr};
}

Definition find_next_for_good(const char* name) {
  Definition found{nullptr, nullptr};
  for (const link_map* map = after_this_library(); map != nullptr; map = map->l_next) {
    if (found.address == nullptr) found = {definition_in(map, name), map};
    // What the program and its libraries need comes in the list before all that is opened later.
    if (definition_in(map, "gnu_get_libc_version") != nullptr)
      return found.address != nullptr ? found : Definition{nullptr, nullptr};
  }
  return {nullptr, nullptr};
}

Definition find_next_locked(const char* name) {
  struct Search {
    const char* name;
    Definition found;
  } search{name, {nullptr, nullptr}};
  const auto look = [](dl_phdr_info*, std::size_t, void* data) {
    auto* all = static_cast<Search*>(data);
    all->found = find_next(all->name);
    return 1;
  };
  dl_iterate_phdr(look, &search);
  return search.found;
}

void* next_definition(const char* name, const char* version) {
  return find_next(name, version).address;
}

Definition find_before(const char* name) {
  for (const link_map* map = loaded_modules(); map != nullptr && map->l_ld != _DYNAMIC; map = map->l_next) {
    if (void* address = definition_in(map, name); address != nullptr) return {address, map};
  }
  return {nullptr, nullptr};
}

void* definition_of(const void* module, const char* name) {
  return definition_in(static_cast<const link_map*>(module), name);
}

bool is_program(const void* module) {
  return module == loaded_modules();
}

const unsigned long* value_of_symbol(const void* module, const char* name) {
  const Elf64_Sym* symbol = symbol_in(static_cast<const link_map*>(module), name);
  return symbol != nullptr ? &symbol->st_value : nullptr;
}

}  // namespace siprof::shim
