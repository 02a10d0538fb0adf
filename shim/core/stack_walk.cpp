// SPDX-License-Identifier: Apache-2.0
#include "shim/core/stack_walk.h"

#include "shim/base/arch.h"

namespace siprof::shim {
namespace {

// Of a ucontext, which a trampoline's stack pointer points to.
constexpr std::uint64_t kSavedFp = 120;
constexpr std::uint64_t kSavedSp = 160;
constexpr std::uint64_t kSavedIp = 168;

// A table whose numbers have been checked against the arena.
struct Table {
  std::uint64_t base;
  std::uint32_t span;
  std::uint32_t rows;
  const std::uint32_t* buckets;
  const UnwindRow* row;
};

__attribute__((always_inline)) inline bool open_table(const CodeView& view, std::uint32_t place,
                                                      Table* table) {
  const std::uint64_t at = std::uint64_t{place} * kArenaAlignment;
  if (view.arena == nullptr || at + sizeof(UnwindTable) > view.arena_bytes) return false;
  UnwindTable header;
  __builtin_memcpy(&header, view.arena + at, sizeof header);
  const std::uint64_t bucket_bytes = (std::uint64_t{header.buckets} + 1) * sizeof(std::uint32_t);
  const std::uint64_t row_bytes = (std::uint64_t{header.rows} + 1) * sizeof(UnwindRow);
  if (header.rows_offset % sizeof(UnwindRow) != 0 ||
      sizeof(UnwindTable) + bucket_bytes > header.rows_offset ||
      header.rows_offset + row_bytes > view.arena_bytes - at ||
      std::uint64_t{header.buckets} << kBucketShift < header.address_span)
    return false;
  table->base = header.base;
  table->span = header.address_span;
  table->rows = header.rows;
  table->buckets = reinterpret_cast<const std::uint32_t*>(view.arena + at + sizeof(UnwindTable));
  table->row = reinterpret_cast<const UnwindRow*>(view.arena + at + header.rows_offset);
  return true;
}

__attribute__((always_inline)) inline bool row_holds(const Table& table, std::uint32_t row,
                                                     std::uint32_t offset) {
  return row < table.rows && table.row[row].address <= offset && offset < table.row[row + 1].address;
}

// The row that holds at `offset`, table.rows when none does.
__attribute__((always_inline)) inline std::uint32_t search_row(const Table& table, std::uint32_t offset) {
  const std::uint32_t bucket = offset >> kBucketShift;
  std::uint32_t low = table.buckets[bucket];
  std::uint32_t high = table.buckets[bucket + 1];
  if (low >= table.rows) return table.rows;
  if (high >= table.rows) high = table.rows - 1;
  while (low < high) {
    const std::uint32_t middle = low + (high - low + 1) / 2;
    if (table.row[middle].address <= offset)
      low = middle;
    else
      high = middle - 1;
  }
  return row_holds(table, low, offset) ? low : table.rows;
}

class Walk {
 public:
  Walk(const CodeView& view, WalkRegisters registers, StackBounds current, StackBounds own)
      : view_(view), registers_(registers), bounds_(current), own_(own) {}

  // False: there is no caller, `end` says why.
  __attribute__((always_inline)) inline bool step(std::uint32_t rule, bool has_fps) {
    const std::uint64_t a = rule_a(rule);
    std::uint64_t word = 0;
    switch (rule_kind(rule)) {
      case RowKind::kSp:
        return leave_saved(registers_.sp + 8 * a, rule_b(rule));
      case RowKind::kFp:
        return leave_saved(registers_.fp + 8 * a, rule_b(rule));
      case RowKind::kPlt:
        return leave(registers_.sp + ((registers_.ip & 15) >= a ? 16 : 8), 0);
      case RowKind::kDerefSp:
        if (!load(registers_.sp + 8 * (a & 63), &word)) return stop(WalkEnd::kBounds);
        return leave_saved(word + 8 * (a >> 6), rule_b(rule));
      case RowKind::kDerefFp:
        if (!load(registers_.fp - 8 * (a & 63), &word)) return stop(WalkEnd::kBounds);
        return leave(word + 8 * (a >> 6), rule_b(rule) != 0 ? registers_.fp : 0);
      case RowKind::kSignal:
        return leave_handler();
      case RowKind::kOutermost:
        return stop(WalkEnd::kComplete);
      case RowKind::kOther:
        return stop(WalkEnd::kOther);
      case RowKind::kNone:
        break;
    }
    return has_fps ? leave_by_fp() : stop(WalkEnd::kUnknown);
  }

  std::uint64_t ip() const { return registers_.ip; }
  bool exact() const { return exact_; }
  std::uint32_t fp_frames() const { return fp_frames_; }
  WalkEnd end() const { return end_; }
  bool stop(WalkEnd end) {
    end_ = end;
    return false;
  }

 private:
  __attribute__((always_inline)) inline bool load(std::uint64_t address, std::uint64_t* word) const {
    return load(address, registers_.sp, word);
  }
  // A leaf may have saved fp below its stack pointer, or popped it: the value still lies there, and
  // call-frame information goes on saying so.
  __attribute__((always_inline)) inline bool load_saved(std::uint64_t address, std::uint64_t* word) const {
    const std::uint64_t low = exact_ ? red_zone_start(registers_.sp) : registers_.sp;
    return load(address, low > bounds_.low ? low : bounds_.low, word);
  }
  __attribute__((always_inline)) inline bool load(std::uint64_t address, std::uint64_t low,
                                                  std::uint64_t* word) const {
    if (address < low || address >= bounds_.high || bounds_.high - address < sizeof *word) return false;
    __builtin_memcpy(word, reinterpret_cast<const void*>(address + bounds_.shift), sizeof *word);
    return true;
  }

  __attribute__((always_inline)) inline bool enter(std::uint64_t ip, std::uint64_t sp, std::uint64_t fp) {
    registers_ = {ip, sp, fp};
    exact_ = false;
    return ip != 0 || stop(WalkEnd::kComplete);
  }

  // The caller's frame is above its callee's. Its fp was saved at `fp_place`, nowhere if that is 0.
  __attribute__((always_inline)) inline bool leave(std::uint64_t cfa, std::uint64_t fp_place) {
    std::uint64_t ip = 0;
    std::uint64_t fp = registers_.fp;
    if (cfa <= registers_.sp || !load(cfa - 8, &ip) || (fp_place != 0 && !load_saved(fp_place, &fp)))
      return stop(WalkEnd::kBounds);
    return enter(ip, cfa, fp);
  }
  __attribute__((always_inline)) inline bool leave_saved(std::uint64_t cfa, std::uint64_t b) {
    return leave(cfa, b != 0 ? cfa - 8 * b : 0);
  }

  bool leave_by_fp() {
    std::uint64_t ip = 0;
    std::uint64_t fp = 0;
    if (registers_.fp % 8 != 0 || !load(registers_.fp, &fp) || !load(registers_.fp + 8, &ip))
      return stop(WalkEnd::kUnknown);
    ++fp_frames_;
    return enter(ip, registers_.fp + 16, fp);
  }

  // Where a handler was entered, which may have been on the thread's own stack from an alternate one.
  bool leave_handler() {
    WalkRegisters before{};
    if (!load(registers_.sp + kSavedIp, &before.ip) || !load(registers_.sp + kSavedSp, &before.sp) ||
        !load(registers_.sp + kSavedFp, &before.fp))
      return stop(WalkEnd::kBounds);
    if (before.sp >= own_.low && before.sp < own_.high)
      bounds_ = own_;
    else if (before.sp < bounds_.low || before.sp >= bounds_.high)
      return stop(WalkEnd::kBounds);
    registers_ = before;
    exact_ = true;
    return true;
  }

  const CodeView& view_;
  WalkRegisters registers_;
  StackBounds bounds_;
  StackBounds own_;
  bool exact_ = true;  // ip is where execution goes on, not where a call returns to
  std::uint32_t fp_frames_ = 0;
  WalkEnd end_ = WalkEnd::kTooDeep;
};

bool holds(const CodeRange& range, std::uint64_t address) {
  return address >= range.start && address < range.end;
}

// The range that holds `address`: a copy, because the original may be rewritten at any moment. Holds nothing
// when there is none.
SIPROF_SIGNAL_SAFE CodeRange find_range(const CodeView& view, std::uint64_t address) {
  std::uint32_t low = 0;
  std::uint32_t high = view.range_count;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (view.ranges[middle].start <= address)
      low = middle + 1;
    else
      high = middle;
  }
  const CodeRange found = low != 0 ? view.ranges[low - 1] : CodeRange{};
  return holds(found, address) ? found : CodeRange{};
}

// The row's rule, by the cache if it knows.
__attribute__((always_inline)) inline std::uint32_t find_rule(const CodeView& view, const Table& table,
                                                              std::uint64_t file_address) {
  const std::uint64_t offset = file_address - table.base;
  if (offset >= table.span) return make_rule(RowKind::kNone);
  const auto at = static_cast<std::uint32_t>(offset);
  // Nothing is ordered by it: whatever number is read, it is used only if it is right.
  std::uint32_t* slot = view.row_cache == nullptr
                            ? nullptr
                            : &view.row_cache[(file_address ^ file_address >> 12) % kRowCacheSize];
  if (slot != nullptr) {
    const std::uint32_t row = __atomic_load_n(slot, __ATOMIC_RELAXED);
    if (row_holds(table, row, at)) return table.row[row].rule;
  }
  const std::uint32_t row = search_row(table, at);
  if (row == table.rows) return make_rule(RowKind::kNone);
  if (slot != nullptr) __atomic_store_n(slot, row, __ATOMIC_RELAXED);
  return table.row[row].rule;
}

}  // namespace

WalkResult walk_stack(const CodeView& view, WalkRegisters registers, StackBounds current, StackBounds own,
                      std::uint64_t* addresses, std::uint32_t most) {
  Walk walk(view, registers, current, own);
  CodeRange range{};
  Table table{};
  bool has_table = false;
  std::uint32_t frames = 0;
  bool more = true;
  while (more && frames < most) {
    const std::uint64_t lookup = walk.ip() - (walk.exact() ? 0 : 1);
    if (!holds(range, lookup)) {
      range = find_range(view, lookup);
      has_table = range.table != 0 && open_table(view, range.table, &table);
    }
    std::uint32_t rule = make_rule(RowKind::kNone);
    if (has_table) rule = find_rule(view, table, lookup - range.bias);
    // The kernel enters a trampoline's first byte as if by a return, and its table begins one byte before.
    addresses[frames++] = rule_kind(rule) == RowKind::kSignal ? walk.ip() : lookup;
    more = range.end != 0 ? walk.step(rule, range.has_fps != 0) : walk.stop(WalkEnd::kUnknown);
  }
  return {frames, walk.fp_frames(), walk.end()};
}

}  // namespace siprof::shim
