// SPDX-License-Identifier: Apache-2.0
// Facts about functions of stripped files, read from their instructions. Nothing is disassembled: each byte
// may begin a jump or a call, and what is found counts only where chance doesn't lead. The file may be
// hostile.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "collector-client/symbolize/elf_image.h"

namespace siprof::client {

// [start, end) of the file's own addresses.
struct AddressRange {
  std::uint64_t start = 0;
  std::uint64_t end = 0;

  bool contains(std::uint64_t address) const { return address - start < end - start; }
  friend bool operator==(const AddressRange&, const AddressRange&) = default;
};

// Whether one of them, ascending and apart from each other, has it.
bool contains(std::span<const AddressRange> ranges, std::uint64_t address);

// The function, and what compilers have moved away from it as unlikely ("NAME.cold"): code with unwind
// information of its own, into the middle of which the function jumps from several places. Ascending.
std::vector<AddressRange> parts_of_function(const ElfImage& image, AddressRange function);

// The call instructions through these slots (DynamicSymbols::slots_of), directly or by a PLT stub. Ascending.
std::vector<AddressRange> calls_through(const ElfImage& image, std::span<const std::uint64_t> slots);

}  // namespace siprof::client
