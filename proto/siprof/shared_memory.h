// SPDX-License-Identifier: Apache-2.0
// The memory that a profiled process (writer) shares with the agent (reader).
//
// Both sides include this file and nothing else of each other's. Any change to a
// size, offset or meaning bumps kSharedMemoryVersion; the reader refuses others.
// Fixed-width types and lock-free <atomic> only; no pointers, no libc types.
//
//   memfd: [ SharedHeader, 4 KiB ][ CodeMap, 64 KiB ][ chunk 0, 4 KiB ][ chunk 1 ] … chunk_count
//
// A thread's records form a chain of chunks: it claims a free chunk, appends
// records, seals it when the next one doesn't fit, and claims another. The agent
// consumes committed records in order, zeroes a chunk that is sealed and read, and
// sets its owner to 0. All-zero memory is therefore a valid, empty pool.
//
// The reader treats every byte as hostile: copy, check, then use the copy.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "proto/siprof/unwind_tables.h"

namespace siprof {

inline constexpr std::uint32_t kSharedMemoryMagic = 0x66727073;  // "sprf"
inline constexpr std::uint32_t kSharedMemoryVersion = 4;
inline constexpr std::uint32_t kCodeMapOffset = 4096;
inline constexpr std::uint32_t kCodeMapBytes = 64 * 1024;
inline constexpr std::uint32_t kSharedHeaderBytes = kCodeMapOffset + kCodeMapBytes;  // before the chunks
inline constexpr std::uint32_t kChunkBytes = 4096;
inline constexpr std::uint32_t kInitialChunks = 256;  // 1 MiB
inline constexpr std::uint32_t kMaxChunks = 2048;     // 8 MiB; the agent may grow the pool up to here
inline constexpr std::uint32_t kMaxStackBytes = 8192;
inline constexpr std::uint64_t kHeartbeatStaleNs = 2'000'000'000;

// Every way to lose or blur a sample, counted since the process attached. Names
// are what users see as `siprof.NAME` in a profile's comments.
#define SIPROF_COUNTERS(X)                                                                \
  X(samples, "CPU samples written")                                                       \
  X(ticks, "timer expirations the samples stand for, overruns included")                  \
  X(lost_pool_full, "ticks dropped: no free chunk in the shared pool")                    \
  X(lost_reentry, "ticks dropped: the thread was inside siprof's own code")               \
  X(lost_unattached, "ticks dropped: no agent attached yet")                              \
  X(lost_shared_tls, "ticks dropped: thread shares another thread's storage")             \
  X(lost_agent_gone, "ticks that an agent had taken, or should have, when it was killed") \
  X(stack_walked, "samples whose stack was walked in the handler")                        \
  X(stack_by_fp, "of them with a frame found by frame pointer")                           \
  X(copied_no_tables, "samples copied: no unwind tables yet")                             \
  X(copied_unknown_code, "samples copied: code that no table covers")                     \
  X(copied_other_rule, "samples copied: a rule that tables can't hold")                   \
  X(copied_bounds, "samples copied: the walk left the stack")                             \
  X(copied_foreign, "samples copied: a fiber's or an alternate stack")                    \
  X(stack_cut, "samples whose stack was deeper than the copy")                            \
  X(stack_cut_pool, "samples whose copy was cut short by a full pool")                    \
  X(stack_unreadable, "samples without a readable stack")                                 \
  X(timers_failed, "threads without a timer: the kernel refused")                         \
  X(timers_refused, "threads without a timer: siprof's own limit")                        \
  X(attach_failures, "attempts to attach that failed")                                    \
  X(signal_moves, "changes of the sampling signal because the app wanted it")             \
  X(handler_ns, "time spent in the handler, from one tick in 64, scaled up")

enum class Counter : std::uint32_t {
#define SIPROF_COUNTER_ENUM(name, help) name,
  SIPROF_COUNTERS(SIPROF_COUNTER_ENUM)
#undef SIPROF_COUNTER_ENUM
      kCount
};
inline constexpr std::uint32_t kCounterCount = static_cast<std::uint32_t>(Counter::kCount);

// In the place of a number of unmappings: code was being unmapped.
inline constexpr std::uint32_t kUnmapping = ~std::uint32_t{0};

// Bits of SharedHeader::kinds.
inline constexpr std::uint32_t kKindCpu = 1u << 0;

struct SharedHeader {
  // Written by the app before the memory is handed over, never after.
  std::uint32_t magic;
  std::uint32_t version;
  std::uint32_t max_chunks;
  std::int32_t app_pid;  // as the app sees itself
  std::uint64_t session;
  // Ticks of the attachments before this one that no profile tells of. They are lost unless the
  // agent that gets this memory still has the one before.
  std::uint64_t unsettled_ticks;
  std::uint32_t maps_generation;  // unmaps_begun as of the mappings that were handed over, or kUnmapping

  // Written by the agent, read by the app.
  alignas(64) std::atomic<std::uint64_t> heartbeat_ns;  // CLOCK_MONOTONIC; relaxed, only its age counts
  std::atomic<std::uint32_t> chunk_count;         // release after the file has grown; acquire in the app
  std::atomic<std::uint32_t> control_generation;  // release after hz and kinds; acquire in the handler
  std::atomic<std::uint32_t> hz;
  std::atomic<std::uint32_t> kinds;
  std::atomic<std::uint32_t> refresh_request;  // raised: attach again, the module list is out of reach
  std::atomic<std::uint32_t> scan_request;     // raised: threads without a timer were seen
  // Changes when CodeMap names another or a larger arena; release after that, acquire in the handler.
  std::atomic<std::uint32_t> arena_generation;
  // Of unsettled_ticks and what came here, as many are in finished profiles; relaxed, a sum.
  std::atomic<std::uint64_t> settled_ticks;

  // How often the app began to unmap code, and how often it was done. While they are equal they number a
  // state of the mappings to which code is added only. Release; acquire in the agent, the ended ones first.
  alignas(64) std::atomic<std::uint32_t> unmaps_begun;
  std::atomic<std::uint32_t> unmaps_ended;

  // Written by the app with relaxed adds: sums, nothing is ordered by them.
  alignas(64) std::atomic<std::uint64_t> counters[kCounterCount];
};
static_assert(sizeof(SharedHeader) <= kCodeMapOffset);
static_assert(offsetof(SharedHeader, heartbeat_ns) == 64);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// Where the process has code and which table is for it. Written by the agent, read in handlers: what
// was read counts only if `sequence` was even before and is the same afterwards.
inline constexpr std::uint32_t kArenaPathBytes = 64;
inline constexpr std::uint32_t kMaxCodeRanges = (kCodeMapBytes - 128) / sizeof(CodeRange);
struct CodeMap {
  std::atomic<std::uint32_t> sequence;  // odd while it is written; release, acquire in the handler
  std::uint32_t unmap_generation;       // unmaps_begun as of the mappings that this shows, or kUnmapping
  std::uint64_t arena_id;               // 0: none
  std::uint64_t arena_bytes;            // of the arena's file; all tables of the ranges lie below
  char arena_path[kArenaPathBytes];     // where the process may open it, with a zero at the end
  std::uint32_t range_count;
  std::uint32_t pad[9];
  CodeRange ranges[kMaxCodeRanges];
};
static_assert(sizeof(CodeMap) == kCodeMapBytes);
static_assert(offsetof(CodeMap, ranges) == 128);

inline constexpr std::uint32_t kSealedBit = 1u << 31;

struct ChunkHeader {
  // 0: free. Else thread id | thread serial << 32, claimed by compare-exchange
  // (acquire) against the agent's store of 0 (release, after zeroing the chunk).
  std::atomic<std::uint64_t> owner;
  std::atomic<std::uint32_t> sequence;  // order in the owner's chain, never 0; release after owner
  std::atomic<std::uint32_t> reserved;  // payload bytes handed out; may run past the end
  std::atomic<std::uint32_t> sealed;    // kSealedBit | payload bytes used; release, read with acquire
  std::uint32_t pad[3];
};
static_assert(sizeof(ChunkHeader) == 32);
inline constexpr std::uint32_t kChunkPayloadBytes = kChunkBytes - sizeof(ChunkHeader);

enum class RecordKind : std::uint32_t {
  kNone = 0,  // not committed (yet)
  kSample = 1,
  kStackPiece = 2,
  kFrames = 3,
};

// Starts at a multiple of 8. `kind` is stored last (release) and read first
// (acquire): a record that is seen is whole.
struct RecordHeader {
  std::atomic<RecordKind> kind;
  std::uint32_t bytes;  // of the whole record, a multiple of 8
};
static_assert(sizeof(RecordHeader) == 8);

// Order of the x86-64 registers in a sample: DWARF numbering, 16 is rip.
inline constexpr std::uint32_t kRegisterCount = 17;
inline constexpr std::uint32_t kRegisterSp = 7;
inline constexpr std::uint32_t kRegisterIp = 16;

// The stack follows: the first bytes in this record, the rest in kStackPiece
// records of the same chain with the same serial.
struct SampleFields {
  std::uint64_t time_ns;           // CLOCK_MONOTONIC
  std::uint32_t period_ns;         // CPU time one tick stands for, at most a second
  std::uint32_t unmap_generation;  // unmaps_begun, or kUnmapping
  std::uint32_t weight;            // ticks: 1 + overruns
  std::uint32_t tid;               // as the app sees it
  std::uint32_t serial;            // joins pieces to their sample
  std::uint32_t inline_stack_bytes;
  std::uint32_t stack_bytes;  // in all; fewer arrive when a piece was lost
  std::uint32_t flags;        // SampleFlags
  std::uint64_t stack_start;  // address of the first byte
  std::uint64_t registers[kRegisterCount];
};

struct SampleRecord {
  RecordHeader header;
  SampleFields sample;
};
static_assert(sizeof(SampleRecord) == 56 + 8 * kRegisterCount);

enum SampleFlags : std::uint32_t {
  kStackCut = 1,       // there was more stack than kMaxStackBytes
  kStackForeign = 2,   // not the thread's own stack: fiber or alternate stack
  kTooManyFrames = 4,  // there were more than kMaxFrames
};

// A sample whose stack was walked: `frames` code addresses of 8 bytes follow, innermost first, each inside
// the instruction that is executed or called from.
struct FramesFields {
  std::uint64_t time_ns;
  std::uint32_t period_ns;
  std::uint32_t unmap_generation;
  std::uint32_t weight;
  std::uint32_t tid;
  std::uint32_t frames;
  std::uint32_t flags;  // SampleFlags
};

struct FramesRecord {
  RecordHeader header;
  FramesFields sample;
};
static_assert(sizeof(FramesRecord) == 40);
inline constexpr std::uint32_t kMaxFrames = (kChunkPayloadBytes - sizeof(FramesRecord)) / 8;

struct StackPieceRecord {
  RecordHeader header;
  std::uint32_t serial;
  std::uint32_t offset;  // of these bytes in the sample's stack
  std::uint32_t stack_bytes;
  std::uint32_t pad;
};
static_assert(sizeof(StackPieceRecord) == 24);

}  // namespace siprof
