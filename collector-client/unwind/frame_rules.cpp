// SPDX-License-Identifier: Apache-2.0
// See frame_rules.h.
#include "collector-client/unwind/frame_rules.h"

#include <array>

#include "collector-client/unwind/captured_stack.h"
#include "collector-client/unwind/cfi_reader.h"

namespace siprof::client {
namespace {

constexpr std::array<unsigned, kSavedRegisters> kSaved = {kRbx, kRbp, kR12, kR13, kR14, kR15};
constexpr std::size_t kMaxRules = 1 << 17;  // about 6 MiB; a busy process has some thousands

bool fits(std::int64_t value) {
  return value > INT32_MIN && value <= INT32_MAX;
}

// True if only a full evaluation gets all of the caller's registers.
bool needs_expression(Dwarf_Frame* frame, const CfaRule& cfa, bool& invalid) {
  using Kind = RegisterRule::Kind;
  bool needed = cfa.kind != CfaRule::Kind::kRegister || !fits(cfa.offset);
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

}  // namespace

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
  std::unique_ptr<CfiReader>& tables = tables_[address.module];
  if (tables == nullptr || tables->image() != address.module->image) {
    tables = std::make_unique<CfiReader>(address.module->image);
    modules_without_tables_ += tables->empty();
  }
  const FramePtr frame = tables->frame_at(address.address);
  return frame != nullptr ? make_rule(frame.get()) : FrameRule{};
}

void FrameRulesCache::trim() {
  absl::erase_if(tables_, [](const auto& entry) { return entry.first->image != entry.second->image(); });
}

void FrameRulesCache::forget(const absl::flat_hash_set<const Module*>& modules) {
  absl::erase_if(tables_, [&](const auto& entry) { return modules.contains(entry.first); });
  absl::erase_if(rules_, [&](const auto& entry) { return modules.contains(entry.first.module); });
}

}  // namespace siprof::client
