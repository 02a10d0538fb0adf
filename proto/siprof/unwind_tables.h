// SPDX-License-Identifier: Apache-2.0
// How the agent tells profiled processes to unwind: tables made of the modules' call-frame
// information, read inside signal handlers.
//
// One arena of the agent's holds the tables of all modules of all its processes. It only grows and
// nothing in it ever changes, so that a process may keep what it has mapped:
//
//   arena:  [ ArenaHeader, 64 bytes ][ ArenaIndexEntry × 4096 ][ table ][ table ] …   each at a multiple of
//   64 table:  [ UnwindTable ][ buckets + 1 row numbers ][ rows + 1 rows ]
//
// Addresses in a table are the file's own (what ELF program headers say), as distances from
// UnwindTable::base. A row holds from its address to the next row's; the last one's is past the
// table's end and holds nothing. Buckets find rows: buckets[i] is the last row that starts at or
// before base + i KiB (0 when none does).
//
// Both sides check every number: the agent's files may be damaged, and the reader must not fault.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace siprof {

inline constexpr std::uint32_t kArenaMagic = 0x61727574;  // "tura"
inline constexpr std::uint32_t kArenaVersion = 2;
inline constexpr std::uint32_t kArenaAlignment = 64;
inline constexpr std::uint32_t kBucketShift = 10;
// Of the arena in the agent, if it could have it: a process that doesn't know the agent yet finds it there.
inline constexpr int kArenaDescriptor = 199;

struct ArenaHeader {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t id;  // random: whoever opens a file by a path knows by it that it is the right one
  std::uint8_t reserved[48];
};
static_assert(sizeof(ArenaHeader) == kArenaAlignment);

// Tables by build-id and layout, of files that the agent's user or root owns: a program that was just started
// finds its own before the agent has looked at it. Open addressing from the first bytes on, kArenaIndexProbes
// entries at the most. An entry is written once, `table` last (release; acquire in the reader).
inline constexpr std::uint32_t kBuildIdBytes = 20;

// Of a file's program headers. A build-id may be anybody's choice (--build-id=0x…), and stays in a file that
// was edited later (patchelf, objcopy).
constexpr std::uint64_t layout_hash(const char* program_headers, std::uint64_t bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (std::uint64_t i = 0; i < bytes; ++i)
    hash = (hash ^ static_cast<unsigned char>(program_headers[i])) * 0x100000001b3;
  return hash;
}
constexpr void mix_layout(std::uint8_t (&build_id)[kBuildIdBytes], std::uint64_t hash) {
  for (std::uint32_t i = 0; i < 8; ++i) build_id[i] ^= static_cast<std::uint8_t>(hash >> 8 * i);
}
inline constexpr std::uint32_t kArenaIndexEntries = 4096;
inline constexpr std::uint32_t kArenaIndexProbes = 16;
struct ArenaIndexEntry {
  std::uint8_t build_id[kBuildIdBytes];  // zeros behind a shorter one; after mix_layout()
  std::atomic<std::uint32_t> table;      // place in the arena / 64; 0: free
};
static_assert(sizeof(ArenaIndexEntry) == 24);
inline constexpr std::uint64_t kArenaIndexOffset = kArenaAlignment;
inline constexpr std::uint64_t kArenaTablesOffset =
    kArenaIndexOffset + kArenaIndexEntries * sizeof(ArenaIndexEntry);
static_assert(kArenaTablesOffset % kArenaAlignment == 0);

constexpr std::uint32_t index_slot(const std::uint8_t* build_id, std::uint32_t probe) {
  const std::uint32_t hash = build_id[0] | std::uint32_t{build_id[1]} << 8;
  return (hash + probe) % kArenaIndexEntries;
}

struct UnwindTable {
  std::uint64_t base;          // file address of the first bucket
  std::uint32_t address_span;  // bytes of code the table covers
  std::uint32_t buckets;       // address_span / 1 KiB, rounded up
  std::uint32_t rows;
  std::uint32_t rows_offset;  // in bytes from this header, a multiple of 8
};
static_assert(sizeof(UnwindTable) == 24);

// Where a frame's caller is. CFA is the caller's stack pointer; its instruction pointer lies at
// CFA - 8 unless said otherwise; a and b are the fields of UnwindRow::rule.
enum class RowKind : std::uint32_t {
  kNone = 0,       // no call-frame information: padding, assembly, code made at run time
  kSp = 1,         // CFA = sp + 8 a
  kFp = 2,         // CFA = fp + 8 a
  kOutermost = 3,  // there is no caller
  kSignal = 4,     // a signal trampoline: the interrupted ip, sp and fp are in the ucontext at sp
  kDerefSp = 5,    // CFA = *(sp + 8 n) + 8 m, where a = n + 64 m (n < 64, m < 256)
  kDerefFp = 6,    // CFA = *(fp - 8 n) + 8 m; the caller's fp is at fp when b is 1 (gcc's aligned frames)
  kPlt = 7,        // CFA = sp + 8, or + 16 when ip & 15 >= a
  kOther = 8,      // there is information that a row can't hold: the agent unwinds such a stack
  // CFA = register n + 8 m, where a = n + 16 m + 8192 f (n in DWARF's numbering, m < 512); the caller's fp is
  // at fp when f is 1. Only where execution is or was interrupted: no other frame's registers are known.
  kRegister = 9,
};

// The caller's fp: unchanged when b is 0, else at CFA - 8 b (but for kDerefFp).
struct UnwindRow {
  std::uint32_t address;  // bytes from UnwindTable::base
  std::uint32_t rule;     // kind | a << 4 | b << 18
};
static_assert(sizeof(UnwindRow) == 8);

inline constexpr std::uint32_t kRowFieldBits = 14;
inline constexpr std::uint32_t kMaxRowField = (1u << kRowFieldBits) - 1;

constexpr std::uint32_t make_rule(RowKind kind, std::uint32_t a = 0, std::uint32_t b = 0) {
  return static_cast<std::uint32_t>(kind) | a << 4 | b << 18;
}
constexpr RowKind rule_kind(std::uint32_t rule) {
  return static_cast<RowKind>(rule & 15);
}
constexpr std::uint32_t rule_a(std::uint32_t rule) {
  return rule >> 4 & kMaxRowField;
}
constexpr std::uint32_t rule_b(std::uint32_t rule) {
  return rule >> 18;
}

// Where a process has code. Sorted by `start`, without overlaps.
struct CodeRange {
  std::uint64_t start;  // of the process
  std::uint64_t end;
  std::uint64_t bias;   // file address = process address - bias, modulo 2^64
  std::uint32_t table;  // place in the arena / 64; 0: no table
  // 1: nobody wrote call-frame information (code made at run time); its frames have frame pointers.
  std::uint32_t has_fps;
};
static_assert(sizeof(CodeRange) == 32);

}  // namespace siprof
