// SPDX-License-Identifier: Apache-2.0
// See verdict.h.
#include "test/oracle/verdict.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace siprof::oracle {
namespace {

// e8 rel32, or ff /2 in one of its lengths, right before the address that is returned to.
bool follows_call(const ProcessView& view, std::uint64_t address) {
  constexpr std::size_t kLongest = 7;
  std::array<std::byte, kLongest> code{};
  if (view.modules().find(address - 1) == nullptr) return false;
  if (view.read(address - kLongest, code) != code.size()) return false;
  const auto byte = [&](std::size_t back) { return std::to_integer<unsigned>(code[kLongest - back]); };
  if (byte(5) == 0xe8) return true;
  return std::ranges::any_of(std::array{2u, 3u, 4u, 6u, 7u}, [&](std::size_t length) {
    return byte(length) == 0xff && (byte(length - 1) & 0x38) == 0x10;
  });
}

Judgement judge_further(const ProcessView& view, bool complete, std::span<const std::uint64_t> ours,
                        const OracleWalk& theirs) {
  const std::size_t known = theirs.addresses.size();
  for (std::size_t i = known; i < ours.size(); ++i)
    if (!follows_call(view, ours[i] + 1)) return {Verdict::kWrong, i - 1};
  if (ours.size() > known || complete) return {Verdict::kFurther, known - 1};
  return {Verdict::kBothStop, known - 1};
}

}  // namespace

Judgement judge(const ProcessView& view, const shim::WalkResult& result, std::span<const std::uint64_t> ours,
                const OracleWalk& theirs) {
  const std::size_t both = std::min(ours.size(), theirs.addresses.size());
  const auto differs = std::ranges::mismatch(ours.first(both), std::span(theirs.addresses).first(both)).in1;
  const auto same = static_cast<std::size_t>(differs - ours.begin());
  if (same < both) return {Verdict::kWrong, same == 0 ? 0 : same - 1};
  const bool complete = result.end == shim::WalkEnd::kComplete;
  if (theirs.end == OracleEnd::kStopped && theirs.addresses.size() <= ours.size())
    return judge_further(view, complete, ours, theirs);
  const bool both_ended = theirs.end != OracleEnd::kStopped && theirs.addresses.size() == ours.size();
  if (both_ended && complete == (theirs.end == OracleEnd::kComplete)) return {Verdict::kEqual, both - 1};
  const bool shorter = !complete && ours.size() <= theirs.addresses.size();
  return {shorter ? Verdict::kTruncated : Verdict::kWrong, both - 1};
}

std::string rule_at(const shim::CodeView& code, std::uint64_t address) {
  constexpr const char* kNames[] = {"none",     "sp",       "fp",  "outermost", "signal",
                                    "deref sp", "deref fp", "plt", "other",     "register"};
  const std::span ranges(code.ranges, code.range_count);
  const auto after = std::ranges::upper_bound(ranges, address, {}, &CodeRange::start);
  if (after == ranges.begin() || address >= std::prev(after)->end) return "no code";
  const CodeRange& range = *std::prev(after);
  if (range.table == 0) return "no table";
  const std::byte* table = code.arena + std::uint64_t{range.table} * kArenaAlignment;
  UnwindTable header;
  std::memcpy(&header, table, sizeof header);
  const std::span rows(reinterpret_cast<const UnwindRow*>(table + header.rows_offset), header.rows);
  const auto row =
      std::ranges::upper_bound(rows, address - range.bias - header.base, {}, &UnwindRow::address);
  if (row == rows.begin()) return "no row";
  const std::uint32_t rule = std::prev(row)->rule;
  const auto kind = static_cast<std::size_t>(rule_kind(rule));
  return absl::StrCat(kind < std::size(kNames) ? kNames[kind] : "?", " ", rule_a(rule), " fp ", rule_b(rule));
}

}  // namespace siprof::oracle
