// SPDX-License-Identifier: Apache-2.0
// See dynamic_symbols.h.
#include "collector-client/symbolize/dynamic_symbols.h"

#include <elf.h>

#include <algorithm>
#include <cstring>

namespace siprof::client {
namespace {

constexpr std::uint32_t kMostDynamicEntries = 4096;
constexpr std::uint32_t kMostChain = 4096;  // symbols of one hash bucket

template <class T>
std::optional<T> value_at(const ElfImage& image, std::uint64_t address) {
  const auto bytes = image.at(address);
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// Of PT_DYNAMIC, by the program headers in the segment that begins with the file's header. 0: none.
std::uint64_t dynamic_section(const ElfImage& image) {
  for (const Segment& segment : image.segments()) {
    if (segment.file_offset != 0) continue;
    const auto header = value_at<Elf64_Ehdr>(image, segment.address);
    if (!header || header->e_phoff > segment.file_bytes) return 0;
    for (std::uint64_t i = 0; i < header->e_phnum; ++i) {
      const auto entry =
          value_at<Elf64_Phdr>(image, segment.address + header->e_phoff + i * sizeof(Elf64_Phdr));
      if (entry && entry->p_type == PT_DYNAMIC) return entry->p_vaddr;
    }
  }
  return 0;
}

std::uint32_t gnu_hash_of(std::string_view name) {
  std::uint32_t hash = 5381;
  for (const char c : name) hash = hash * 33 + static_cast<unsigned char>(c);
  return hash;
}

std::uint32_t sysv_hash_of(std::string_view name) {
  std::uint32_t hash = 0;
  for (const char c : name) {
    hash = (hash << 4) + static_cast<unsigned char>(c);
    hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
  }
  return hash;
}

}  // namespace

DynamicSymbols::DynamicSymbols(const ElfImage& image) : image_(image) {
  if (const std::uint64_t address = dynamic_section(image); address != 0) read_dynamic(address);
}

void DynamicSymbols::read_dynamic(std::uint64_t address) {
  for (std::uint32_t i = 0; i < kMostDynamicEntries; ++i) {
    const auto entry = value_at<Elf64_Dyn>(image_, address + i * sizeof(Elf64_Dyn));
    if (!entry || entry->d_tag == DT_NULL) return;
    const std::uint64_t value = entry->d_un.d_val;
    if (entry->d_tag == DT_SYMTAB) symbols_ = value;
    if (entry->d_tag == DT_STRTAB) strings_.address = value;
    if (entry->d_tag == DT_STRSZ) strings_.bytes = value;
    if (entry->d_tag == DT_GNU_HASH) gnu_hash_ = value;
    if (entry->d_tag == DT_HASH) hash_ = value;
    if (entry->d_tag == DT_RELA) relocations_.address = value;
    if (entry->d_tag == DT_RELASZ) relocations_.bytes = value;
    if (entry->d_tag == DT_JMPREL) plt_relocations_.address = value;
    if (entry->d_tag == DT_PLTRELSZ) plt_relocations_.bytes = value;
    if (entry->d_tag == DT_SONAME) {
      soname_ = value;
      has_soname_ = true;
    }
  }
}

std::string_view DynamicSymbols::text_at(std::uint64_t offset) const {
  const auto table = image_.at(strings_.address);
  const std::uint64_t size = std::min<std::uint64_t>(table.size(), strings_.bytes);
  if (offset >= size) return {};
  const std::string_view rest(reinterpret_cast<const char*>(table.data()) + offset, size - offset);
  const std::size_t end = rest.find('\0');
  return end != std::string_view::npos ? rest.substr(0, end) : std::string_view();
}

std::string_view DynamicSymbols::soname() const {
  return has_soname_ ? text_at(soname_) : std::string_view();
}

bool DynamicSymbols::is_named(std::uint32_t symbol, std::string_view name) const {
  const auto entry = value_at<Elf64_Sym>(image_, symbols_ + std::uint64_t{symbol} * sizeof(Elf64_Sym));
  if (!entry) return false;
  const auto table = image_.at(strings_.address);
  const std::uint64_t size = std::min<std::uint64_t>(table.size(), strings_.bytes);
  if (entry->st_name >= size || size - entry->st_name <= name.size()) return false;
  const char* text = reinterpret_cast<const char*>(table.data()) + entry->st_name;
  return std::memcmp(text, name.data(), name.size()) == 0 && text[name.size()] == '\0';
}

std::optional<DynamicSymbols::Symbol> DynamicSymbols::defined(std::uint32_t index,
                                                              std::string_view name) const {
  const auto entry = value_at<Elf64_Sym>(image_, symbols_ + std::uint64_t{index} * sizeof(Elf64_Sym));
  if (!entry || entry->st_shndx == SHN_UNDEF || entry->st_value == 0 || !is_named(index, name))
    return std::nullopt;
  return Symbol{entry->st_value, entry->st_size};
}

std::optional<DynamicSymbols::Symbol> DynamicSymbols::find(std::string_view name) const {
  if (symbols_ == 0) return std::nullopt;
  return gnu_hash_ != 0 ? find_by_gnu_hash(name) : find_by_hash(name);
}

std::optional<DynamicSymbols::Symbol> DynamicSymbols::find_by_gnu_hash(std::string_view name) const {
  struct Header {
    std::uint32_t buckets;
    std::uint32_t first_symbol;
    std::uint32_t bloom_words;
    std::uint32_t bloom_shift;
  };
  const auto header = value_at<Header>(image_, gnu_hash_);
  if (!header || header->buckets == 0) return std::nullopt;
  const std::uint32_t hash = gnu_hash_of(name);
  const std::uint64_t buckets = gnu_hash_ + sizeof(Header) + std::uint64_t{header->bloom_words} * 8;
  const std::uint64_t chains = buckets + std::uint64_t{header->buckets} * 4;
  const auto first = value_at<std::uint32_t>(image_, buckets + std::uint64_t{hash % header->buckets} * 4);
  if (!first || *first < header->first_symbol) return std::nullopt;
  for (std::uint32_t i = 0; i < kMostChain; ++i) {
    const std::uint32_t index = *first + i;
    const auto chained =
        value_at<std::uint32_t>(image_, chains + std::uint64_t{index - header->first_symbol} * 4);
    if (!chained) return std::nullopt;
    if ((*chained | 1) == (hash | 1)) {
      if (const auto symbol = defined(index, name)) return symbol;
    }
    if ((*chained & 1) != 0) return std::nullopt;
  }
  return std::nullopt;
}

std::optional<DynamicSymbols::Symbol> DynamicSymbols::find_by_hash(std::string_view name) const {
  const auto buckets = value_at<std::uint32_t>(image_, hash_);
  if (hash_ == 0 || !buckets || *buckets == 0) return std::nullopt;
  const std::uint64_t chains = hash_ + 8 + std::uint64_t{*buckets} * 4;
  std::uint64_t at = hash_ + 8 + std::uint64_t{sysv_hash_of(name) % *buckets} * 4;
  for (std::uint32_t i = 0; i < kMostChain; ++i) {
    const auto index = value_at<std::uint32_t>(image_, at);
    if (!index || *index == STN_UNDEF) return std::nullopt;
    if (const auto symbol = defined(*index, name)) return symbol;
    at = chains + std::uint64_t{*index} * 4;
  }
  return std::nullopt;
}

void DynamicSymbols::add_slots(const Table& relocations, std::string_view name,
                               std::vector<std::uint64_t>* slots) const {
  const auto bytes = image_.at(relocations.address);
  const std::uint64_t size = std::min<std::uint64_t>(bytes.size(), relocations.bytes);
  for (std::uint64_t at = 0; at + sizeof(Elf64_Rela) <= size; at += sizeof(Elf64_Rela)) {
    Elf64_Rela entry;
    std::memcpy(&entry, bytes.data() + at, sizeof entry);
    const auto type = ELF64_R_TYPE(entry.r_info);
    if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) continue;
    if (is_named(static_cast<std::uint32_t>(ELF64_R_SYM(entry.r_info)), name))
      slots->push_back(entry.r_offset);
  }
}

std::vector<std::uint64_t> DynamicSymbols::slots_of(std::string_view name) const {
  std::vector<std::uint64_t> slots;
  if (symbols_ == 0) return slots;
  add_slots(relocations_, name, &slots);
  add_slots(plt_relocations_, name, &slots);
  return slots;
}

}  // namespace siprof::client
