// SPDX-License-Identifier: Apache-2.0
#include "shim/core/stack_walk.h"

#include "shim/base/arch.h"

namespace siprof::shim {
namespace {

// Of a ucontext, which a trampoline's stack pointer points to.
constexpr std::uint64_t kSavedRegisters = 40;
constexpr std::uint64_t kSavedFp = 120;
constexpr std::uint64_t kSavedSp = 160;
constexpr std::uint64_t kSavedIp = 168;
// Where DWARF's registers 0 to 15 are from there, in words.
constexpr std::uint8_t kSavedOrder[16] = {13, 12, 14, 11, 9, 8, 10, 15, 0, 1, 2, 3, 4, 5, 6, 7};

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
      case RowKind::kRegister:
        return leave_by_register(a, rule_b(rule));
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
    registers_ = {ip, sp, fp, nullptr};
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

  bool leave_by_register(std::uint64_t a, std::uint64_t b) {
    if (!exact_ || registers_.context == nullptr) return stop(WalkEnd::kOther);
    const auto* saved = static_cast<const char*>(registers_.context) + kSavedRegisters;
    std::uint64_t value = 0;
    __builtin_memcpy(&value, saved + 8 * kSavedOrder[a & 15], sizeof value);
    const std::uint64_t cfa = value + 8 * (a >> 4 & 511);
    return (a >> 13) != 0 ? leave(cfa, registers_.fp) : leave_saved(cfa, b);
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
    // All of it lies between what was loaded.
    before.context = reinterpret_cast<const void*>(registers_.sp + bounds_.shift);
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

// One word holds a rule and what it is the rule of, so that both are read and written at once, and a frame
// whose rule is known costs one cache line of ours instead of those of its row and its table:
//   arena: 4 bits | place in it: 24 | address in the file / 4096: 16 | rule: 20 (kind 4, a 10, b 6)
// The slot's own number stands for the address' other bits. What doesn't fit isn't cached: it is rare. An
// arena's tables never change, so that a word is right for ever.
constexpr std::uint32_t kCachedRuleBits = 20;

struct CacheKey {
  std::uint64_t tag;  // 0: not to be cached
  std::uint32_t slot;
};

__attribute__((always_inline)) inline CacheKey cache_key(const CodeView& view, std::uint32_t place,
                                                         std::uint64_t file_address) {
  const std::uint64_t page = file_address >> kRuleCacheBits;
  if (view.rule_cache == nullptr || page >> 16 != 0 || place >> 24 != 0) return {0, 0};
  const std::uint64_t tag = (std::uint64_t{view.arena_number} << 24 | place) << 16 | page;
  const auto mixed = static_cast<std::uint32_t>(file_address ^ page ^ place * 0x9e3u);
  return {tag << kCachedRuleBits, mixed % kRuleCacheSize};
}

constexpr std::uint32_t pack_rule(std::uint32_t rule) {
  return (rule & 15) | rule_a(rule) << 4 | rule_b(rule) << 14;
}
constexpr std::uint32_t unpack_rule(std::uint64_t word) {
  return make_rule(static_cast<RowKind>(word & 15), word >> 4 & 0x3ff, word >> 14 & 0x3f);
}
constexpr bool fits_cache(std::uint32_t rule) {
  return rule_a(rule) < 1u << 10 && rule_b(rule) < 1u << 6;
}

// Where the walk is, with the table if it was needed.
struct Code {
  CodeRange range;
  Table table;
  std::uint32_t opened;  // the place that `table` was tried at, 0: none
};

// False: no row says anything of this address, or none that can be seen now.
SIPROF_SIGNAL_SAFE bool look_up_rule(const CodeView& view, Code* code, std::uint64_t file_address,
                                     std::uint32_t* rule) {
  if (code->opened != code->range.table) {
    code->opened = code->range.table;
    if (!open_table(view, code->opened, &code->table)) code->table = {};
  }
  const std::uint64_t offset = file_address - code->table.base;
  if (offset >= code->table.span) return false;
  const std::uint32_t row = search_row(code->table, static_cast<std::uint32_t>(offset));
  if (row == code->table.rows) return false;
  *rule = code->table.row[row].rule;
  return true;
}

// By the cache if it knows.
__attribute__((always_inline)) inline std::uint32_t find_rule(const CodeView& view, Code* code,
                                                              std::uint64_t address) {
  if (code->range.table == 0) return make_rule(RowKind::kNone);
  const std::uint64_t file_address = address - code->range.bias;
  const CacheKey key = cache_key(view, code->range.table, file_address);
  if (key.tag != 0) {
    // Relaxed: a word needs no other to be right.
    const std::uint64_t word = __atomic_load_n(&view.rule_cache[key.slot], __ATOMIC_RELAXED);
    if ((word ^ key.tag) >> kCachedRuleBits == 0) return unpack_rule(word);
  }
  std::uint32_t rule = make_rule(RowKind::kNone);
  if (look_up_rule(view, code, file_address, &rule) && key.tag != 0 && fits_cache(rule))
    __atomic_store_n(&view.rule_cache[key.slot], key.tag | pack_rule(rule), __ATOMIC_RELAXED);
  return rule;
}

}  // namespace

WalkResult walk_stack(const CodeView& view, WalkRegisters registers, StackBounds current, StackBounds own,
                      std::uint64_t* addresses, std::uint32_t most) {
  Walk walk(view, registers, current, own);
  Code code{};
  std::uint32_t frames = 0;
  bool more = true;
  while (more && frames < most) {
    const std::uint64_t lookup = walk.ip() - (walk.exact() ? 0 : 1);
    if (!holds(code.range, lookup)) code.range = find_range(view, lookup);
    const std::uint32_t rule = find_rule(view, &code, lookup);
    // The kernel enters a trampoline's first byte as if by a return, and its table begins one byte before.
    addresses[frames++] = rule_kind(rule) == RowKind::kSignal ? walk.ip() : lookup;
    more = code.range.end != 0 ? walk.step(rule, code.range.has_fps != 0) : walk.stop(WalkEnd::kUnknown);
  }
  return {frames, walk.fp_frames(), walk.end()};
}

}  // namespace siprof::shim
