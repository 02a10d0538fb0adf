// SPDX-License-Identifier: Apache-2.0
// See cfi_bounds.h.
#include "collector-client/unwind/cfi_bounds.h"

#include <sys/mman.h>

#include <array>
#include <map>
#include <optional>

#include "collector-client/unwind/frame_sections.h"

namespace siprof::client {
namespace {

// Far beyond what compilers write: those of the largest functions have some KiB.
constexpr std::size_t kMaxProgramBytes = 256 * 1024;
constexpr std::uint64_t kMaxRegister = 255;
constexpr int kMaxRemembered = 64;
constexpr std::uint64_t kMaxExpressionBytes = 1 << 20;  // of the file: elfutils keeps each, 32 times as large

// Operands of DW_CFA_…, by opcode: register, number, block of an expression, bytes, the entry's own kind of
// address; + and - remember and restore a state. Null: there is no such instruction, elfutils ends there too.
constexpr std::array<const char*, 0x30> operands_by_opcode() {
  std::array<const char*, 0x30> operands{};
  constexpr const char* kFromZero[] = {"",   "a", "1", "2", "4",  "rn", "r",  "r", "r",  "rr", "+", "-",
                                       "rn", "r", "n", "b", "rb", "rn", "rn", "n", "rn", "rn", "rb"};
  for (std::size_t i = 0; i < std::size(kFromZero); ++i) operands[i] = kFromZero[i];
  operands[0x1d] = "8";   // MIPS_advance_loc8
  operands[0x2d] = "";    // GNU_window_save
  operands[0x2e] = "n";   // GNU_args_size
  operands[0x2f] = "rn";  // GNU_negative_offset_extended
  return operands;
}
constexpr auto kOperands = operands_by_opcode();

class Program {
 public:
  Program(const std::uint8_t* begin, const std::uint8_t* end, std::size_t address_bytes,
          std::uint64_t* expression_bytes)
      : at_(begin), end_(end), address_bytes_(address_bytes), expression_bytes_(expression_bytes) {}

  bool is_bounded() {
    if (static_cast<std::size_t>(end_ - at_) > kMaxProgramBytes) return false;
    while (at_ < end_ && bounded_) {
      const std::uint8_t opcode = *at_++;
      const std::uint8_t short_form = opcode & 0xc0;
      const char* operands = short_form == 0x80 ? "n" : "";
      if (short_form == 0) operands = opcode < kOperands.size() ? kOperands[opcode] : nullptr;
      if (operands == nullptr) return true;
      for (; *operands != 0; ++operands) take(*operands);
    }
    return bounded_;
  }

 private:
  void take(char operand) {
    switch (operand) {
      case 'r':
        bounded_ &= number() <= kMaxRegister;
        break;
      case 'n':
        number();
        break;
      case 'b': {
        const std::uint64_t bytes = number();
        *expression_bytes_ += bytes;
        bounded_ &= *expression_bytes_ <= kMaxExpressionBytes;
        skip(bytes);
        break;
      }
      case 'a':
        skip(address_bytes_);
        break;
      case '+':
        bounded_ &= ++remembered_ <= kMaxRemembered;
        break;
      case '-':
        --remembered_;
        break;
      default:
        skip(static_cast<std::uint64_t>(operand - '0'));
    }
  }
  void skip(std::uint64_t bytes) {
    at_ = bytes < static_cast<std::uint64_t>(end_ - at_) ? at_ + bytes : end_;
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; at_ < end_; shift += 7) {
      const std::uint8_t byte = *at_++;
      if (shift < 64) value |= std::uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) break;
    }
    return value;
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  std::size_t address_bytes_;
  std::uint64_t* expression_bytes_;
  int remembered_ = 0;
  bool bounded_ = true;
};

struct EntryForm {
  std::size_t address_bytes;
  bool has_augmentation;
};

std::optional<EntryForm> form_of(const Dwarf_CIE& cie) {
  const std::optional<std::uint8_t> encoding = address_encoding(cie);
  const std::optional<std::size_t> bytes = encoding ? pointer_bytes(*encoding) : std::nullopt;
  if (!bytes) return std::nullopt;
  return EntryForm{*bytes, cie.augmentation[0] == 'z'};
}

// Behind the two addresses and what the augmentation adds.
const std::uint8_t* program_of(const Dwarf_FDE& fde, const EntryForm& form) {
  const auto left = [&](const std::uint8_t* at) { return static_cast<std::size_t>(fde.end - at); };
  const std::uint8_t* at = fde.start;
  if (left(at) < 2 * form.address_bytes) return fde.end;
  at += 2 * form.address_bytes;
  if (!form.has_augmentation) return at;
  std::uint64_t bytes = 0;
  for (unsigned shift = 0; at < fde.end; shift += 7) {
    if (shift < 64) bytes |= std::uint64_t{*at & 0x7fu} << shift;
    if ((*at++ & 0x80) == 0) break;
  }
  return bytes < left(at) ? at + bytes : fde.end;
}

// From disk in one go: the rest of a file is read page by page (MADV_RANDOM), which suits look-ups only.
void will_read(const FrameSection& section) {
  constexpr std::uintptr_t kPage = 4096;
  const auto start = reinterpret_cast<std::uintptr_t>(section.data->d_buf) & ~(kPage - 1);
  const auto end = reinterpret_cast<std::uintptr_t>(section.data->d_buf) + section.data->d_size;
  madvise(reinterpret_cast<void*>(start), end - start, MADV_WILLNEED);  // advice: it may fail
}

bool is_bounded(Elf* elf, const FrameSection& section) {
  const auto* identity = reinterpret_cast<const unsigned char*>(elf_getident(elf, nullptr));
  std::map<std::uint64_t, EntryForm> forms;  // by the CIE's offset
  std::uint64_t expression_bytes = 0;
  Dwarf_Off next = 0;
  for (;;) {
    const Dwarf_Off offset = next;
    Dwarf_CFI_Entry entry;
    const int result = dwarf_next_cfi(identity, section.data, section.eh_frame, offset, &next, &entry);
    if (result > 0 || next <= offset) return true;
    if (result < 0) continue;
    const bool is_cie = dwarf_cfi_cie_p(&entry);
    const auto known = forms.find(is_cie ? offset : entry.fde.CIE_pointer);
    const std::optional<EntryForm> form =
        is_cie ? form_of(entry.cie) : (known != forms.end() ? std::optional(known->second) : std::nullopt);
    if (!form) return false;
    if (is_cie) forms.emplace(offset, *form);
    const std::uint8_t* begin = is_cie ? entry.cie.initial_instructions : program_of(entry.fde, *form);
    const std::uint8_t* end = is_cie ? entry.cie.initial_instructions_end : entry.fde.end;
    if (!Program(begin, end, form->address_bytes, &expression_bytes).is_bounded()) return false;
  }
}

}  // namespace

bool is_bounded_cfi(Elf* elf) {
  for (const FrameSection& section : frame_sections(elf)) {
    will_read(section);
    if (!is_bounded(elf, section)) return false;
  }
  return true;
}

}  // namespace siprof::client
