// SPDX-License-Identifier: Apache-2.0
// See frame_starts.h.
#include "collector-client/unwind/frame_starts.h"

#include <dwarf.h>
#include <elfutils/libdw.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

#include "collector-client/unwind/frame_sections.h"

namespace siprof::client {
namespace {

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

void add_starts(Elf* elf, const FrameSection& section, std::size_t most, std::vector<std::uint64_t>* starts) {
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
      encodings[offset] = address_encoding(entry.cie);
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
  for (const FrameSection& section : frame_sections(image.elf()))
    add_starts(image.elf(), section, most, &starts);
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
