// SPDX-License-Identifier: Apache-2.0
// See symbol_table.h.
#include "collector-client/symbolize/symbol_table.h"

#include <gelf.h>
#include <lzma.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <tuple>

#include "collector-client/symbolize/plt.h"

namespace siprof::client {
namespace {

constexpr std::size_t kMaxUnpackedBytes = 256u << 20;
constexpr std::uint64_t kMaxUnsizedBytes = 1u << 20;  // how far a symbol without size may reach

// Names of one address: a sized function before an unsized label, global before weak before local,
// names without leading underscores and short ones first (memcpy before __memcpy_avx_unaligned).
int rank_of(const GElf_Sym& symbol, std::string_view name) {
  const int type = GELF_ST_TYPE(symbol.st_info);
  const int binding = GELF_ST_BIND(symbol.st_info);
  int rank = symbol.st_size != 0 ? 1000 : 0;
  if (type == STT_FUNC || type == STT_GNU_IFUNC) rank += 500;
  if (binding == STB_GLOBAL || binding == STB_GNU_UNIQUE) rank += 200;
  if (binding == STB_WEAK) rank += 100;
  return rank - (name.starts_with("__") ? 20 : name.starts_with('_') && !name.starts_with("_Z") ? 10 : 0);
}

bool is_code_name(std::string_view name) {
  return !name.empty() && name[0] != '$' && !name.starts_with(".L");
}

bool in_code_section(Elf* elf, const GElf_Sym& symbol) {
  Elf_Scn* section = elf_getscn(elf, symbol.st_shndx);
  GElf_Shdr header;
  return section != nullptr && gelf_getshdr(section, &header) != nullptr &&
         (header.sh_flags & SHF_EXECINSTR) != 0;
}

}  // namespace

void SymbolTable::add(const ElfImage& image) {
  add_tables(image, /*with_compressed=*/true);
}

void SymbolTable::add_tables(const ElfImage& image, bool with_compressed) {
  std::size_t names = 0;
  if (elf_getshdrstrndx(image.elf(), &names) != 0) return;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(image.elf(), section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    if (header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM) add_section(image.elf(), section);
    const char* name = elf_strptr(image.elf(), names, header.sh_name);
    if (with_compressed && name != nullptr && std::strcmp(name, ".gnu_debugdata") == 0)
      add_compressed(section);
  }
}

void SymbolTable::add_section(Elf* elf, Elf_Scn* section) {
  GElf_Shdr header;
  Elf_Data* data = elf_getdata(section, nullptr);
  if (data == nullptr || gelf_getshdr(section, &header) == nullptr || header.sh_entsize == 0) return;
  const auto count = static_cast<int>(std::min<std::uint64_t>(data->d_size / sizeof(Elf64_Sym), INT32_MAX));
  for (int i = 0; i < count; ++i) {
    GElf_Sym symbol;
    if (gelf_getsym(data, i, &symbol) == nullptr || symbol.st_value == 0) continue;
    const int type = GELF_ST_TYPE(symbol.st_info);
    if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE) continue;
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= SHN_LORESERVE || !in_code_section(elf, symbol))
      continue;
    const char* text = elf_strptr(elf, header.sh_link, symbol.st_name);
    if (text == nullptr) continue;
    std::string_view name(text);
    name = name.substr(0, name.find('@'));
    if (!is_code_name(name)) continue;
    const std::uint64_t end = symbol.st_size != 0 ? symbol.st_value + symbol.st_size : 0;
    symbols_.push_back({symbol.st_value, end, rank_of(symbol, name), std::string(name)});
  }
}

// Fedora's mini debug info: an xz-packed ELF file with a .symtab of the local functions.
void SymbolTable::add_compressed(Elf_Scn* section) {
  Elf_Data* data = elf_rawdata(section, nullptr);
  if (data == nullptr || data->d_buf == nullptr) return;
  std::vector<std::byte> unpacked(std::max<std::size_t>(data->d_size * 4, 1 << 16));
  lzma_ret result = LZMA_BUF_ERROR;
  std::size_t size = 0;
  while (result == LZMA_BUF_ERROR && unpacked.size() <= kMaxUnpackedBytes) {
    std::uint64_t memory_limit = kMaxUnpackedBytes;
    std::size_t in = 0;
    size = 0;
    result = lzma_stream_buffer_decode(
        &memory_limit, 0, nullptr, static_cast<const std::uint8_t*>(data->d_buf), &in, data->d_size,
        reinterpret_cast<std::uint8_t*>(unpacked.data()), &size, unpacked.size());
    if (result == LZMA_BUF_ERROR) unpacked.resize(unpacked.size() * 2);
  }
  if (result != LZMA_OK) return;
  const auto inner = ElfImage::copy(std::span(unpacked).first(size));
  if (inner.ok()) add_tables(**inner, /*with_compressed=*/false);
}

void SymbolTable::add_plt(const ElfImage& image) {
  for (PltStub& stub : plt_stubs(image)) {
    symbols_.push_back({stub.start, stub.end, /*rank=*/0, std::move(stub.name) + "@plt"});
  }
}

void SymbolTable::finish() {
  std::sort(symbols_.begin(), symbols_.end(), [](const Symbol& a, const Symbol& b) {
    return std::tuple(a.start, -a.rank, a.name.size(), std::string_view(a.name)) <
           std::tuple(b.start, -b.rank, b.name.size(), std::string_view(b.name));
  });
  const auto same = [](const Symbol& a, const Symbol& b) { return a.start == b.start; };
  symbols_.erase(std::unique(symbols_.begin(), symbols_.end(), same), symbols_.end());
  longest_before_.resize(symbols_.size());
  std::uint64_t longest = 0;
  for (std::size_t i = 0; i < symbols_.size(); ++i) {
    Symbol& symbol = symbols_[i];
    if (symbol.end == 0) {
      const std::uint64_t next =
          i + 1 < symbols_.size() ? symbols_[i + 1].start : symbol.start + kMaxUnsizedBytes;
      symbol.end = std::min(next, symbol.start + kMaxUnsizedBytes);
    }
    longest = std::max(longest, symbol.end);
    longest_before_[i] = longest;
  }
}

const SymbolTable::Symbol* SymbolTable::find(std::uint64_t address) const {
  auto after =
      std::upper_bound(symbols_.begin(), symbols_.end(), address,
                       [](std::uint64_t value, const Symbol& symbol) { return value < symbol.start; });
  // A label inside a function hides the function's start: look on as long as an earlier one may reach here.
  const Symbol* best = nullptr;
  for (std::size_t i = static_cast<std::size_t>(after - symbols_.begin());
       i-- > 0 && longest_before_[i] > address;) {
    const Symbol& symbol = symbols_[i];
    if (address < symbol.end && (best == nullptr || symbol.rank / 1000 > best->rank / 1000)) best = &symbol;
    if (best != nullptr && best->rank >= 1000) break;
  }
  return best;
}

}  // namespace siprof::client
