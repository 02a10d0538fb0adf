// SPDX-License-Identifier: Apache-2.0
// See frame_sections.h.
#include "collector-client/unwind/frame_sections.h"

#include <dwarf.h>
#include <gelf.h>

#include <string_view>

namespace siprof::client {

std::vector<FrameSection> frame_sections(Elf* elf) {
  std::vector<FrameSection> sections;
  std::size_t names = 0;
  if (elf_getshdrstrndx(elf, &names) != 0) return sections;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type == SHT_NOBITS) continue;
    const char* name = elf_strptr(elf, names, header.sh_name);
    const std::string_view known = name != nullptr ? name : "";
    if (known != ".eh_frame" && known != ".debug_frame") continue;
    if ((header.sh_flags & SHF_COMPRESSED) != 0) continue;
    Elf_Data* data = elf_rawdata(section, nullptr);
    if (data != nullptr && data->d_buf != nullptr)
      sections.push_back({data, header.sh_addr, known == ".eh_frame"});
  }
  return sections;
}

std::optional<std::size_t> pointer_bytes(std::uint8_t encoding) {
  switch (encoding & 0x0f) {
    case DW_EH_PE_absptr:
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
      return 8;
    case DW_EH_PE_udata4:
    case DW_EH_PE_sdata4:
      return 4;
    case DW_EH_PE_udata2:
    case DW_EH_PE_sdata2:
      return 2;
    default:
      return std::nullopt;
  }
}

std::optional<std::uint8_t> address_encoding(const Dwarf_CIE& cie) {
  const std::string_view augmentation = cie.augmentation;
  if (!augmentation.starts_with('z')) {
    return augmentation.empty() ? std::optional<std::uint8_t>(DW_EH_PE_absptr) : std::nullopt;
  }
  const std::uint8_t* at = cie.augmentation_data;
  const std::uint8_t* end = at + cie.augmentation_data_size;
  for (const char letter : augmentation.substr(1)) {
    if (letter == 'S' || letter == 'B') continue;
    if (at >= end) return std::nullopt;
    const std::uint8_t encoding = *at++;
    if (letter == 'R') return encoding;
    if (letter == 'L') continue;
    const std::optional<std::size_t> bytes = letter == 'P' ? pointer_bytes(encoding) : std::nullopt;
    if (!bytes || static_cast<std::size_t>(end - at) < *bytes) return std::nullopt;
    at += *bytes;
  }
  return DW_EH_PE_absptr;
}

}  // namespace siprof::client
