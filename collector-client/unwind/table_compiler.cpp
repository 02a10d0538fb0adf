// SPDX-License-Identifier: Apache-2.0
// See table_compiler.h.
#include "collector-client/unwind/table_compiler.h"

#include <algorithm>
#include <cstring>

#include "collector-client/unwind/captured_stack.h"
#include "collector-client/unwind/cfi_reader.h"
#include "collector-client/unwind/frame_starts.h"
#include "proto/siprof/unwind_tables.h"

namespace siprof::client {
namespace {

constexpr std::size_t kMaxRows = 16'000'000;        // 128 MiB; chromium has 4 million
constexpr std::size_t kMaxRowsOfFunction = 16'384;  // each is found by executing all before it
constexpr std::uint32_t kOtherRule = make_rule(RowKind::kOther);

// offset / 8 if a row's field can hold it.
bool in_words(std::int64_t offset, std::uint32_t most, std::uint32_t* words) {
  *words = static_cast<std::uint32_t>(offset / 8);
  return offset >= 0 && offset % 8 == 0 && offset / 8 <= most;
}

// Where the caller's fp is. False: not where a row can say.
bool saved_fp(Dwarf_Frame* frame, bool deref_fp, std::uint32_t* b) {
  const RegisterRule rule = register_rule(frame, kRbp);
  *b = 0;
  if (rule.kind == RegisterRule::Kind::kSame) return true;
  if (deref_fp) {
    *b = 1;
    return rule.kind == RegisterRule::Kind::kAtFp && rule.offset == 0;
  }
  return rule.kind == RegisterRule::Kind::kAtCfa && in_words(-rule.offset, kMaxRowField, b) && *b != 0;
}

// Prologues that realign the stack, and assembly.
std::uint32_t register_cfa_rule(Dwarf_Frame* frame, const CfaRule& cfa) {
  std::uint32_t m = 0;
  std::uint32_t b = 0;
  if (cfa.number >= 16 || !in_words(cfa.offset, 511, &m)) return kOtherRule;
  const bool at_fp = !saved_fp(frame, false, &b);
  if (at_fp && !saved_fp(frame, true, &b)) return kOtherRule;
  return make_rule(RowKind::kRegister, cfa.number | m << 4 | (at_fp ? 1u << 13 : 0), at_fp ? 0 : b);
}

std::uint32_t deref_rule(Dwarf_Frame* frame, const CfaRule& cfa) {
  const bool by_fp = cfa.number == kRbp;
  std::uint32_t n = 0;
  std::uint32_t m = 0;
  std::uint32_t b = 0;
  if (!in_words(by_fp ? -cfa.offset : cfa.offset, 63, &n) || !in_words(cfa.added, 255, &m) ||
      !saved_fp(frame, by_fp, &b))
    return kOtherRule;
  return make_rule(by_fp ? RowKind::kDerefFp : RowKind::kDerefSp, n | m << 6, b);
}

// The kernel's frame, as glibc describes it.
std::uint32_t signal_rule(Dwarf_Frame* frame, const CfaRule& cfa) {
  const auto lies_at = [&](unsigned number, std::int64_t offset) {
    const RegisterRule rule = register_rule(frame, number);
    return rule.kind == RegisterRule::Kind::kAtSp && rule.offset == offset;
  };
  const bool known = cfa.kind == CfaRule::Kind::kDeref && cfa.number == kRsp && cfa.offset == 160 &&
                     cfa.added == 0 && lies_at(kRip, 168) && lies_at(kRbp, 120);
  return known ? make_rule(RowKind::kSignal) : kOtherRule;
}

std::uint32_t compact_rule(Dwarf_Frame* frame, bool signal_frame) {
  const RegisterRule ip = register_rule(frame, kRip);
  if (ip.kind == RegisterRule::Kind::kUndefined) return make_rule(RowKind::kOutermost);
  const CfaRule cfa = cfa_rule(frame);
  if (signal_frame) return signal_rule(frame, cfa);
  const RegisterRule sp = register_rule(frame, kRsp);
  if (ip.kind != RegisterRule::Kind::kAtCfa || ip.offset != -8 || sp.kind != RegisterRule::Kind::kCfaPlus ||
      sp.offset != 0)
    return kOtherRule;
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  switch (cfa.kind) {
    case CfaRule::Kind::kRegister:
      if (cfa.number != kRsp && cfa.number != kRbp) return register_cfa_rule(frame, cfa);
      if (!in_words(cfa.offset, kMaxRowField, &a) || !saved_fp(frame, false, &b)) return kOtherRule;
      return make_rule(cfa.number == kRsp ? RowKind::kSp : RowKind::kFp, a, b);
    case CfaRule::Kind::kDeref:
      return deref_rule(frame, cfa);
    case CfaRule::Kind::kPlt:
      return make_rule(RowKind::kPlt, static_cast<std::uint32_t>(cfa.offset));
    case CfaRule::Kind::kExpression:
    case CfaRule::Kind::kInvalid:
      break;
  }
  return kOtherRule;
}

struct CodeSpan {
  std::uint64_t begin = UINT64_MAX;
  std::uint64_t end = 0;
};

CodeSpan code_of(const ElfImage& image) {
  CodeSpan span;
  for (const Segment& segment : image.segments()) {
    if (!segment.executable || segment.memory_bytes == 0) continue;
    span.begin = std::min(span.begin, segment.address);
    span.end = std::max(span.end, segment.address + segment.memory_bytes);
  }
  span.begin &= ~((std::uint64_t{1} << kBucketShift) - 1);
  return span;
}

class Compiler {
 public:
  Compiler(const std::shared_ptr<const ElfImage>& image, CodeSpan code, const std::function<bool()>& go_on)
      : cfi_(image), code_(code), go_on_(go_on) {
    rows_.push_back({0, make_rule(RowKind::kNone)});
  }

  // `next` is where the next one begins.
  void add_function(std::uint64_t start, std::uint64_t next) {
    std::uint64_t address = start;
    for (std::size_t count = 0; address < next && may_go_on(); ++count) {
      const FramePtr frame = cfi_.frame_at(address);
      Dwarf_Addr from = 0;
      Dwarf_Addr to = 0;
      bool signal_frame = false;
      if (frame == nullptr || dwarf_frame_info(frame.get(), &from, &to, &signal_frame) < 0) break;
      to = std::min({to, next, code_.end});
      if (to <= address) break;
      const bool too_many = count >= kMaxRowsOfFunction;
      add(address, too_many ? kOtherRule : compact_rule(frame.get(), signal_frame));
      address = too_many ? next : to;
    }
    if (address == start) return;
    add(address, make_rule(RowKind::kNone));
  }

  const std::vector<UnwindRow>& rows() const { return rows_; }
  bool stopped() const { return stopped_; }
  bool has_no_cfi() const { return cfi_.empty(); }

 private:
  bool may_go_on() {
    constexpr std::uint64_t kRowsBetween = 64;
    if (++asked_ % kRowsBetween == 0 && go_on_) stopped_ |= !go_on_();
    return !stopped_;
  }

  // From here on. A row that says what the one before says isn't needed.
  void add(std::uint64_t address, std::uint32_t rule) {
    if (address >= code_.end) return;
    const auto offset = static_cast<std::uint32_t>(address - code_.begin);
    if (rows_.back().address == offset) rows_.pop_back();
    if (rows_.empty() || rows_.back().rule != rule) rows_.push_back({offset, rule});
  }

  CfiReader cfi_;
  CodeSpan code_;
  const std::function<bool()>& go_on_;
  std::uint64_t asked_ = 0;
  bool stopped_ = false;
  std::vector<UnwindRow> rows_;
};

// buckets[i]: the last row that starts at or before i KiB.
std::vector<std::uint32_t> index_of(const std::vector<UnwindRow>& rows, std::uint32_t buckets) {
  std::vector<std::uint32_t> index(buckets + std::size_t{1});
  std::uint32_t row = 0;
  for (std::uint32_t bucket = 0; bucket <= buckets; ++bucket) {
    const std::uint64_t start = std::uint64_t{bucket} << kBucketShift;
    while (row + 1 < rows.size() && rows[row + 1].address <= start) ++row;
    index[bucket] = row;
  }
  return index;
}

CompiledTable lay_out(const CodeSpan& code, std::vector<UnwindRow> rows) {
  UnwindTable header{};
  header.base = code.begin;
  header.address_span = static_cast<std::uint32_t>(code.end - code.begin);
  header.buckets =
      static_cast<std::uint32_t>((code.end - code.begin + (1u << kBucketShift) - 1) >> kBucketShift);
  header.rows = static_cast<std::uint32_t>(rows.size());
  const std::vector<std::uint32_t> index = index_of(rows, header.buckets);
  header.rows_offset =
      static_cast<std::uint32_t>((sizeof header + index.size() * sizeof index[0] + 7) & ~std::size_t{7});
  CompiledTable table;
  table.rows = header.rows;
  table.other_rows = static_cast<std::uint32_t>(std::ranges::count_if(
      rows, [](const UnwindRow& row) { return rule_kind(row.rule) == RowKind::kOther; }));
  rows.push_back({UINT32_MAX, make_rule(RowKind::kNone)});
  table.bytes.resize(header.rows_offset + rows.size() * sizeof rows[0]);
  std::memcpy(table.bytes.data(), &header, sizeof header);
  std::memcpy(table.bytes.data() + sizeof header, index.data(), index.size() * sizeof index[0]);
  std::memcpy(table.bytes.data() + header.rows_offset, rows.data(), rows.size() * sizeof rows[0]);
  return table;
}

}  // namespace

absl::StatusOr<CompiledTable> compile_table(const std::shared_ptr<const ElfImage>& image,
                                            const std::function<bool()>& go_on) {
  const CodeSpan code = code_of(*image);
  if (code.begin >= code.end) return absl::NotFoundError("no executable segment");
  if (code.end - code.begin >= UINT32_MAX) return absl::OutOfRangeError("its code spans more than 4 GiB");
  const std::vector<std::uint64_t> starts = frame_starts(*image, kMaxRows);
  if (starts.empty()) return absl::NotFoundError("no call-frame information");
  Compiler compiler(image, code, go_on);
  if (compiler.has_no_cfi()) return absl::NotFoundError("no call-frame information that can be used");
  for (std::size_t i = 0; i < starts.size(); ++i) {
    compiler.add_function(starts[i], i + 1 < starts.size() ? starts[i + 1] : code.end);
    if (compiler.stopped()) return absl::DeadlineExceededError("its unwind tables take too long to make");
    if (compiler.rows().size() > kMaxRows) return absl::OutOfRangeError("it has too many unwind rows");
  }
  return lay_out(code, compiler.rows());
}

}  // namespace siprof::client
