// SPDX-License-Identifier: Apache-2.0
// See frame_rules.h.
#include "collector-client/unwind/frame_rules.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <gelf.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "absl/strings/match.h"
#include "collector-client/symbolize/elf_image.h"
#include "collector-client/unwind/captured_stack.h"

namespace siprof::client {
namespace {

constexpr std::array<unsigned, kSavedRegisters> kSaved = {kRbx, kRbp, kR12, kR13, kR14, kR15};
constexpr std::size_t kMaxRules = 1 << 17;  // about 6 MiB; a busy process has some thousands

// A register's rule in one frame, as dwarf_frame_register() tells it.
struct RegisterRule {
  enum class Kind { kUndefined, kSame, kAtCfa, kCfaPlus, kOther, kInvalid } kind;
  std::int64_t offset = 0;
};

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
  if (ops != memory || ops[0].atom != DW_OP_call_frame_cfa) return {Kind::kOther};
  std::int64_t offset = 0;
  std::size_t next = 1;
  if (next < count && ops[next].atom == DW_OP_plus_uconst)
    offset = static_cast<std::int64_t>(ops[next++].number);
  if (next == count) return {Kind::kAtCfa, offset};
  return {ops[next].atom == DW_OP_stack_value ? Kind::kCfaPlus : Kind::kOther, offset};
}

bool fits(std::int64_t value) {
  return value > INT32_MIN && value <= INT32_MAX;
}

struct CfaRule {
  enum class Kind { kRegister, kExpression, kInvalid } kind;
  unsigned number = 0;
  std::int64_t offset = 0;
};

CfaRule cfa_rule(Dwarf_Frame* frame) {
  Dwarf_Op* ops = nullptr;
  std::size_t count = 0;
  if (dwarf_frame_cfa(frame, &ops, &count) != 0 || count == 0) return {CfaRule::Kind::kInvalid};
  if (count != 1) return {CfaRule::Kind::kExpression};
  if (ops[0].atom == DW_OP_bregx && ops[0].number < kRegisterCount) {
    return {CfaRule::Kind::kRegister, static_cast<unsigned>(ops[0].number),
            static_cast<std::int64_t>(ops[0].number2)};
  }
  const unsigned number = ops[0].atom - DW_OP_breg0;
  if (ops[0].atom < DW_OP_breg0 || number >= kRegisterCount) return {CfaRule::Kind::kInvalid};
  return {CfaRule::Kind::kRegister, number, static_cast<std::int64_t>(ops[0].number)};
}

// True if only a full evaluation gets all of the caller's registers.
bool needs_expression(Dwarf_Frame* frame, const CfaRule& cfa, bool& invalid) {
  using Kind = RegisterRule::Kind;
  bool needed = cfa.kind == CfaRule::Kind::kExpression || !fits(cfa.offset);
  for (unsigned number = 0; number < kRegisterCount; ++number) {
    const RegisterRule rule = register_rule(frame, number);
    invalid |= rule.kind == Kind::kInvalid;
    const bool plain = rule.kind == Kind::kUndefined || rule.kind == Kind::kSame ||
                       (rule.kind == Kind::kAtCfa && number != kRsp && fits(rule.offset)) ||
                       (rule.kind == Kind::kCfaPlus && number == kRsp && rule.offset == 0);
    needed |= !plain;
  }
  return needed;
}

FrameRule make_rule(Dwarf_Frame* frame) {
  FrameRule rule;
  Dwarf_Addr start = 0;
  Dwarf_Addr end = 0;
  if (dwarf_frame_info(frame, &start, &end, &rule.signal_frame) != kRip) return rule;
  const RegisterRule caller = register_rule(frame, kRip);
  if (caller.kind == RegisterRule::Kind::kUndefined) {
    rule.kind = FrameRule::Kind::kOutermost;
    return rule;
  }
  const CfaRule cfa = cfa_rule(frame);
  bool invalid = cfa.kind == CfaRule::Kind::kInvalid || caller.kind == RegisterRule::Kind::kSame;
  const bool expression = needs_expression(frame, cfa, invalid);
  if (invalid) return rule;
  rule.kind = expression ? FrameRule::Kind::kExpression : FrameRule::Kind::kPlain;
  if (expression) return rule;
  rule.cfa_register = static_cast<std::uint8_t>(cfa.number);
  rule.cfa_offset = static_cast<std::int32_t>(cfa.offset);
  rule.return_offset = static_cast<std::int32_t>(caller.offset);
  for (std::size_t i = 0; i < kSavedRegisters; ++i) {
    const RegisterRule saved = register_rule(frame, kSaved[i]);
    if (saved.kind == RegisterRule::Kind::kAtCfa) rule.saved[i] = static_cast<std::int32_t>(saved.offset);
  }
  return rule;
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

struct FrameRulesCache::Tables {
  explicit Tables(std::shared_ptr<const ElfImage> of) : image(std::move(of)) {
    eh_frame = dwarf_getcfi_elf(image->elf());
    if (!has_plain_debug_frame(image->elf())) return;
    debug = dwarf_begin_elf(image->elf(), DWARF_C_READ, nullptr);
    if (debug != nullptr) debug_frame = dwarf_getcfi(debug);  // ends with `debug`
  }
  ~Tables() {
    if (eh_frame != nullptr) dwarf_cfi_end(eh_frame);
    if (debug != nullptr) dwarf_end(debug);
  }
  Tables(const Tables&) = delete;
  Tables& operator=(const Tables&) = delete;

  std::shared_ptr<const ElfImage> image;
  Dwarf_CFI* eh_frame = nullptr;
  Dwarf* debug = nullptr;
  Dwarf_CFI* debug_frame = nullptr;
};

FrameRulesCache::FrameRulesCache() = default;
FrameRulesCache::~FrameRulesCache() = default;

const FrameRule& FrameRulesCache::find(const CodeAddress& address) {
  const auto found = rules_.find(address);
  if (found != rules_.end()) return found->second;
  if (rules_.size() >= kMaxRules) rules_.clear();
  return rules_.emplace(address, compute(address)).first->second;
}

FrameRule FrameRulesCache::compute(const CodeAddress& address) {
  if (address.module == nullptr || address.module->image == nullptr) return {};
  std::unique_ptr<Tables>& tables = tables_[address.module];
  if (tables == nullptr || tables->image != address.module->image) {
    tables = std::make_unique<Tables>(address.module->image);
    modules_without_tables_ += tables->eh_frame == nullptr && tables->debug_frame == nullptr;
  }
  for (Dwarf_CFI* cfi : {tables->eh_frame, tables->debug_frame}) {
    Dwarf_Frame* frame = nullptr;
    if (cfi == nullptr || dwarf_cfi_addrframe(cfi, address.address, &frame) != 0) continue;
    const FrameRule rule = make_rule(frame);
    std::free(frame);
    return rule;
  }
  return {};
}

void FrameRulesCache::trim() {
  absl::erase_if(tables_, [](const auto& entry) { return entry.first->image != entry.second->image; });
}

void FrameRulesCache::forget(const absl::flat_hash_set<const Module*>& modules) {
  absl::erase_if(tables_, [&](const auto& entry) { return modules.contains(entry.first); });
  absl::erase_if(rules_, [&](const auto& entry) { return modules.contains(entry.first.module); });
}

}  // namespace siprof::client
