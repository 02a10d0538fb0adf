// SPDX-License-Identifier: Apache-2.0
// See frame_starts.h.
#include "collector-client/unwind/frame_starts.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <gelf.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>

namespace siprof::client {
namespace {

struct Section {
  Elf_Data* data = nullptr;
  std::uint64_t address = 0;
  bool eh_frame = false;
};

std::vector<Section> frame_sections(Elf* elf) {
  std::vector<Section> sections;
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

template <class Number>
std::optional<std::uint64_t> number_at(const std::uint8_t* at, const std::uint8_t* end) {
  if (static_cast<std::size_t>(end - at) < sizeof(Number)) return std::nullopt;
  Number value;
  std::memcpy(&value, at, sizeof value);
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
}

// The pointer at `at`, where the section shows it at address `here`. Encodings that no linker writes:
// nullopt.
std::optional<std::uint64_t> pointer_at(const std::uint8_t* at, const std::uint8_t* end,
                                        std::uint8_t encoding, std::uint64_t here) {
  std::optional<std::uint64_t> value;
  switch (encoding & 0x0f) {
    case DW_EH_PE_absptr:
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
      value = number_at<std::int64_t>(at, end);
      break;
    case DW_EH_PE_udata4:
      value = number_at<std::uint32_t>(at, end);
      break;
    case DW_EH_PE_sdata4:
      value = number_at<std::int32_t>(at, end);
      break;
    default:
      return std::nullopt;
  }
  switch (encoding & 0xf0) {
    case DW_EH_PE_absptr:
      return value;
    case DW_EH_PE_pcrel:
      return value ? std::optional(*value + here) : std::nullopt;
    default:
      return std::nullopt;
  }
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

// How the entries of a CIE write their addresses.
std::optional<std::uint8_t> encoding_of(const Dwarf_CIE& cie) {
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

void add_starts(Elf* elf, const Section& section, std::size_t most, std::vector<std::uint64_t>* starts) {
  const auto* identity = reinterpret_cast<const unsigned char*>(elf_getident(elf, nullptr));
  std::map<std::uint64_t, std::optional<std::uint8_t>> encodings;  // by the CIE's offset
  const auto* begin = static_cast<const std::uint8_t*>(section.data->d_buf);
  Dwarf_Off next = 0;
  while (starts->size() < most) {
    const Dwarf_Off offset = next;
    Dwarf_CFI_Entry entry;
    const int result = dwarf_next_cfi(identity, section.data, section.eh_frame, offset, &next, &entry);
    if (result > 0 || next <= offset) return;
    if (result < 0) continue;
    if (dwarf_cfi_cie_p(&entry)) {
      encodings[offset] = encoding_of(entry.cie);
      continue;
    }
    const auto cie = encodings.find(entry.fde.CIE_pointer);
    if (cie == encodings.end() || !cie->second) continue;
    const std::uint64_t here = section.address + static_cast<std::uint64_t>(entry.fde.start - begin);
    const auto start = pointer_at(entry.fde.start, entry.fde.end, *cie->second, here);
    if (start) starts->push_back(*start);
  }
}

}  // namespace

std::vector<std::uint64_t> frame_starts(const ElfImage& image, std::size_t most) {
  std::vector<std::uint64_t> starts;
  for (const Section& section : frame_sections(image.elf())) add_starts(image.elf(), section, most, &starts);
  std::erase_if(starts, [&](std::uint64_t start) {
    return std::ranges::none_of(image.segments(), [&](const Segment& segment) {
      return segment.executable && start >= segment.address && start - segment.address < segment.memory_bytes;
    });
  });
  std::ranges::sort(starts);
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  return starts;
}

}  // namespace siprof::client
