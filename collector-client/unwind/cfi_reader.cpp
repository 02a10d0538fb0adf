// SPDX-License-Identifier: Apache-2.0
// See cfi_reader.h.
#include "collector-client/unwind/cfi_reader.h"

#include <dwarf.h>
#include <gelf.h>

#include <array>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "collector-client/unwind/captured_stack.h"
#include "collector-client/unwind/cfi_bounds.h"

namespace siprof::client {
namespace {

bool is_base_register(const Dwarf_Op& op, unsigned number) {
  return op.atom == DW_OP_breg0 + number;
}

// rsp + 8 + ((rip & 15) >= limit) * 8, in the order in which linkers write it.
bool is_plt(const Dwarf_Op* ops, std::size_t count, std::int64_t* limit) {
  constexpr unsigned kBase = DW_OP_breg0;
  constexpr std::array<unsigned, 9> kAtoms = {kBase + kRsp, kBase + kRip, DW_OP_lit15, DW_OP_and, 0,
                                              DW_OP_ge,     DW_OP_lit3,   DW_OP_shl,   DW_OP_plus};
  if (count != kAtoms.size() || ops[0].number != 8 || ops[1].number != 0) return false;
  for (std::size_t i = 0; i < count; ++i) {
    if (kAtoms[i] != 0 && ops[i].atom != kAtoms[i]) return false;
  }
  *limit = static_cast<std::int64_t>(ops[4].atom) - DW_OP_lit0;
  return *limit >= 0 && *limit < 16;
}

// *(register + offset) + added.
bool is_deref(const Dwarf_Op* ops, std::size_t count, CfaRule* rule) {
  if (count < 2 || count > 3 || ops[1].atom != DW_OP_deref) return false;
  for (const unsigned number : {kRsp, kRbp}) {
    if (is_base_register(ops[0], number)) {
      *rule = {CfaRule::Kind::kDeref, number, static_cast<std::int64_t>(ops[0].number)};
      if (count == 2) return true;
      rule->added = static_cast<std::int64_t>(ops[2].number);
      return ops[2].atom == DW_OP_plus_uconst;
    }
  }
  return false;
}

// .debug_frame alone, uncompressed: libdw unpacks all debug sections at once otherwise, and
// that may be gigabytes.
bool has_plain_debug_frame(Elf* elf) {
  std::size_t names = 0;
  if (elf_getshdrstrndx(elf, &names) != 0) return false;
  bool found = false;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) return false;
    const char* name = elf_strptr(elf, names, header.sh_name);
    if (name == nullptr) continue;
    if ((header.sh_flags & SHF_COMPRESSED) != 0 || absl::StartsWith(name, ".zdebug")) return false;
    found |= std::strcmp(name, ".debug_frame") == 0;
  }
  return found;
}

}  // namespace

RegisterRule register_rule(Dwarf_Frame* frame, unsigned number) {
  using Kind = RegisterRule::Kind;
  Dwarf_Op memory[3];
  Dwarf_Op* ops = nullptr;
  std::size_t count = 0;
  if (dwarf_frame_register(frame, static_cast<int>(number), memory, &ops, &count) != 0)
    return {Kind::kInvalid};
  if (count == 0) return {ops == nullptr ? Kind::kSame : Kind::kUndefined};
  if (ops[0].atom == DW_OP_regx) {
    // libunwind indexes its own table by the number without a check.
    return {ops[0].number < kRegisterCount ? Kind::kOther : Kind::kInvalid};
  }
  // An expression's operations follow the CFA, which it may use.
  if (ops != memory && count == 2 && ops[0].atom == DW_OP_call_frame_cfa) {
    for (const auto& [number, kind] : {std::pair{kRbp, Kind::kAtFp}, {kRsp, Kind::kAtSp}})
      if (is_base_register(ops[1], number)) return {kind, static_cast<std::int64_t>(ops[1].number)};
  }
  if (ops != memory || ops[0].atom != DW_OP_call_frame_cfa) return {Kind::kOther};
  std::int64_t offset = 0;
  std::size_t next = 1;
  if (next < count && ops[next].atom == DW_OP_plus_uconst)
    offset = static_cast<std::int64_t>(ops[next++].number);
  if (next == count) return {Kind::kAtCfa, offset};
  return {ops[next].atom == DW_OP_stack_value ? Kind::kCfaPlus : Kind::kOther, offset};
}

CfaRule cfa_rule(Dwarf_Frame* frame) {
  Dwarf_Op* ops = nullptr;
  std::size_t count = 0;
  if (dwarf_frame_cfa(frame, &ops, &count) != 0 || count == 0) return {CfaRule::Kind::kInvalid};
  CfaRule rule{CfaRule::Kind::kPlt, kRsp};
  if (is_plt(ops, count, &rule.offset) || is_deref(ops, count, &rule)) return rule;
  if (count != 1) return {CfaRule::Kind::kExpression};
  if (ops[0].atom == DW_OP_bregx && ops[0].number < kRegisterCount) {
    return {CfaRule::Kind::kRegister, static_cast<unsigned>(ops[0].number),
            static_cast<std::int64_t>(ops[0].number2)};
  }
  const unsigned number = ops[0].atom - DW_OP_breg0;
  if (ops[0].atom < DW_OP_breg0 || number >= kRegisterCount) return {CfaRule::Kind::kInvalid};
  return {CfaRule::Kind::kRegister, number, static_cast<std::int64_t>(ops[0].number)};
}

CfiReader::CfiReader(std::shared_ptr<const ElfImage> image) : image_(std::move(image)) {
  if (!is_bounded_cfi(image_->elf())) return;
  eh_frame_ = dwarf_getcfi_elf(image_->elf());
  if (!has_plain_debug_frame(image_->elf())) return;
  debug_ = dwarf_begin_elf(image_->elf(), DWARF_C_READ, nullptr);
  if (debug_ != nullptr) debug_frame_ = dwarf_getcfi(debug_);
}

CfiReader::~CfiReader() {
  if (eh_frame_ != nullptr) dwarf_cfi_end(eh_frame_);
  if (debug_ != nullptr) dwarf_end(debug_);
}

FramePtr CfiReader::frame_at(std::uint64_t address) const {
  for (Dwarf_CFI* cfi : {eh_frame_, debug_frame_}) {
    Dwarf_Frame* frame = nullptr;
    if (cfi != nullptr && dwarf_cfi_addrframe(cfi, address, &frame) == 0) return FramePtr(frame);
  }
  return nullptr;
}

}  // namespace siprof::client
