// SPDX-License-Identifier: Apache-2.0
// Where call-frame information lies in a file and how its entries write addresses: for who reads all of them
// (frame_starts.h, cfi_bounds.h). elfutils' own reader only answers for one address.
#pragma once

#include <elfutils/libdw.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace siprof::client {

struct FrameSection {
  Elf_Data* data = nullptr;  // the file's bytes
  std::uint64_t address = 0;
  bool eh_frame = false;
};

// .eh_frame and .debug_frame, without compressed ones.
std::vector<FrameSection> frame_sections(Elf* elf);

// How the entries of a CIE write their addresses (DW_EH_PE_…); nullopt: as no linker does.
std::optional<std::uint8_t> address_encoding(const Dwarf_CIE& cie);
std::optional<std::size_t> pointer_bytes(std::uint8_t encoding);

}  // namespace siprof::client
