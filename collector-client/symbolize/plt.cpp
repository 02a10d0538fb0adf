// SPDX-License-Identifier: Apache-2.0
// See plt.h.
#include "collector-client/symbolize/plt.h"

#include <gelf.h>

#include <cstring>
#include <map>
#include <string_view>

namespace siprof::client {
namespace {

// GOT slot -> name of the function that the loader puts there.
using Slots = std::map<std::uint64_t, std::string>;

void add_slots(Elf* elf, Elf_Scn* section, const GElf_Shdr& header, Slots& slots) {
  Elf_Data* relocations = elf_getdata(section, nullptr);
  Elf_Scn* symbol_section = elf_getscn(elf, header.sh_link);
  GElf_Shdr symbol_header;
  if (relocations == nullptr || symbol_section == nullptr ||
      gelf_getshdr(symbol_section, &symbol_header) == nullptr) {
    return;
  }
  Elf_Data* symbols = elf_getdata(symbol_section, nullptr);
  const auto count = static_cast<int>(relocations->d_size / sizeof(Elf64_Rela));
  for (int i = 0; symbols != nullptr && i < count; ++i) {
    GElf_Rela relocation;
    GElf_Sym symbol;
    if (gelf_getrela(relocations, i, &relocation) == nullptr) continue;
    const auto type = GELF_R_TYPE(relocation.r_info);
    if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) continue;
    if (gelf_getsym(symbols, static_cast<int>(GELF_R_SYM(relocation.r_info)), &symbol) == nullptr) continue;
    const char* name = elf_strptr(elf, symbol_header.sh_link, symbol.st_name);
    if (name != nullptr && *name != '\0') slots[relocation.r_offset] = name;
  }
}

// The slot of a stub's "jmp *disp(%rip)", which endbr64 and a bnd prefix may precede; 0: no stub.
std::uint64_t slot_of(std::uint64_t address, std::span<const std::byte> code) {
  for (std::size_t i = 0; i + 6 <= code.size(); ++i) {
    if (code[i] != std::byte{0xff} || code[i + 1] != std::byte{0x25}) continue;
    std::int32_t distance = 0;
    std::memcpy(&distance, code.data() + i + 2, sizeof distance);
    return address + i + 6 + static_cast<std::int64_t>(distance);
  }
  return 0;
}

void add_stubs(const ElfImage& image, const GElf_Shdr& header, const Slots& slots,
               std::vector<PltStub>& stubs) {
  const std::uint64_t size = header.sh_entsize == 8 ? 8 : 16;  // .plt.got may have short ones
  const auto code = image.at(header.sh_addr);
  for (std::uint64_t at = 0; at + size <= header.sh_size && at + size <= code.size(); at += size) {
    const auto slot = slots.find(slot_of(header.sh_addr + at, code.subspan(at, size)));
    if (slot == slots.end()) continue;
    stubs.push_back({header.sh_addr + at, header.sh_addr + at + size, slot->second});
  }
}

}  // namespace

std::vector<PltStub> plt_stubs(const ElfImage& image) {
  std::size_t names = 0;
  if (elf_getshdrstrndx(image.elf(), &names) != 0) return {};
  Slots slots;
  std::vector<GElf_Shdr> stub_sections;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(image.elf(), section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    if (header.sh_type == SHT_RELA && (header.sh_flags & SHF_ALLOC) != 0) {
      add_slots(image.elf(), section, header, slots);
    }
    const char* name = elf_strptr(image.elf(), names, header.sh_name);
    const bool plt = name != nullptr && std::string_view(name).starts_with(".plt");
    if (plt && header.sh_type == SHT_PROGBITS && (header.sh_flags & SHF_EXECINSTR) != 0)
      stub_sections.push_back(header);
  }
  std::vector<PltStub> stubs;
  for (const GElf_Shdr& header : stub_sections) add_stubs(image, header, slots, stubs);
  return stubs;
}

}  // namespace siprof::client
