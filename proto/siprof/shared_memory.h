// SPDX-License-Identifier: Apache-2.0
// The memory that a profiled process (writer) shares with the agent (reader).
//
// Both sides include this file and nothing else of each other's. Any change to a
// size, offset or meaning bumps kSharedMemoryVersion; the reader refuses others.
// Fixed-width types and lock-free <atomic> only; no pointers, no libc types.
//
//   memfd: [ SharedHeader, 4 KiB ][ CodeMap, 64 KiB ][ LiveSlots, 256 KiB ][ IoBanks, 96 KiB ][ chunk 0, 4
//   KiB ] … chunk_count
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

#include "proto/siprof/io_calls.h"
#include "proto/siprof/python.h"
#include "proto/siprof/python_sums.h"
#include "proto/siprof/unwind_tables.h"

namespace siprof {

inline constexpr std::uint32_t kSharedMemoryMagic = 0x66727073;  // "sprf"
inline constexpr std::uint32_t kSharedMemoryVersion = 8;
inline constexpr std::uint32_t kCodeMapOffset = 4096;
inline constexpr std::uint32_t kCodeMapBytes = 64 * 1024;
inline constexpr std::uint32_t kLiveSlotsOffset = kCodeMapOffset + kCodeMapBytes;
inline constexpr std::uint32_t kLiveSlots = 16384;
inline constexpr std::uint32_t kLiveSlotBytes = 16;
inline constexpr std::uint32_t kIoBanksOffset = kLiveSlotsOffset + kLiveSlots * kLiveSlotBytes;
inline constexpr std::uint32_t kIoBanksBytes = kIoBanks * kIoBankBytes;
inline constexpr std::uint32_t kSharedHeaderBytes = kIoBanksOffset + kIoBanksBytes;  // before the chunks
static_assert(kSharedHeaderBytes % 4096 == 0);
inline constexpr std::uint32_t kChunkBytes = 4096;
inline constexpr std::uint32_t kInitialChunks = 256;  // 1 MiB
inline constexpr std::uint32_t kMaxChunks = 2048;     // 8 MiB; the agent may grow the pool up to here
inline constexpr std::uint32_t kMaxStackBytes = 8192;
inline constexpr std::uint64_t kHeartbeatStaleNs = 2'000'000'000;

// Every way to lose or blur a sample, counted since the process attached. Names
// are what users see as `siprof.NAME` in a profile's comments.
#define SIPROF_COUNTERS(X)                                                                   \
  X(samples, "CPU samples written")                                                          \
  X(ticks, "timer expirations the samples stand for, overruns included")                     \
  X(events, "samples of other kinds written")                                                \
  X(lost_events_pool_full, "samples of other kinds dropped: no free chunk")                  \
  X(lost_events_reentry, "events of other kinds inside siprof's own code, not sampled")      \
  X(lost_events_unattached, "samples of other kinds dropped: no agent attached yet")         \
  X(throws, "C++ exceptions thrown")                                                         \
  X(rethrows, "C++ exceptions thrown on after they were caught; not thrown anew")            \
  X(python_raises, "Python exceptions raised, as far as the version tells (docs/python.md)") \
  X(lost_pool_full, "ticks dropped: no free chunk in the shared pool")                       \
  X(lost_reentry, "ticks dropped: the thread was inside siprof's own code")                  \
  X(ticks_deferred, "ticks inside siprof's own code, that the next one stands for")          \
  X(lost_unattached, "ticks dropped: no agent attached yet")                                 \
  X(lost_shared_tls, "ticks dropped: thread shares another thread's storage")                \
  X(lost_agent_gone, "ticks that an agent had taken, or should have, when it was killed")    \
  X(stack_walked, "samples of all kinds whose stack was walked in place")                    \
  X(stack_by_fp, "of them with a frame found by frame pointer")                              \
  X(copied_no_tables, "samples copied: no unwind tables yet")                                \
  X(copied_unknown_code, "samples copied: code that no table covers")                        \
  X(copied_other_rule, "samples copied: a rule that tables can't hold")                      \
  X(copied_bounds, "samples copied: the walk left the stack")                                \
  X(copied_foreign, "samples copied: a fiber's or an alternate stack")                       \
  X(stack_cut, "samples whose stack was deeper than the copy")                               \
  X(stack_cut_pool, "samples whose copy was cut short by a full pool")                       \
  X(stack_unreadable, "samples without a readable stack")                                    \
  X(python_walked, "samples of all kinds with Python frames")                                \
  X(python_cut, "of them with more Python frames than are kept")                             \
  X(python_broken, "of them whose Python frames ended at something unreadable")              \
  X(python_code_lost, "samples without Python frames: no free chunk for their names")        \
  X(python_skipped, "samples without Python frames: a fault there would end the app")        \
  X(python_faults, "unreadable addresses met and stepped over")                              \
  X(timers_failed, "threads without a timer: the kernel refused")                            \
  X(timers_refused, "threads without a timer: siprof's own limit")                           \
  X(heap_live_dropped, "sampled allocations not followed: too many live ones")               \
  X(heap_live_forgotten, "sampled allocations followed until a new agent came")              \
  X(heap_unseen, "1: the app allocates from what the loader found before siprof")            \
  X(attach_failures, "attempts to attach that failed")                                       \
  X(signal_moves, "changes of the sampling signal because the app wanted it")                \
  X(handler_ns, "time spent in the handler, from one tick in 64, scaled up")                 \
  X(hook_ns, "time spent on samples of other kinds, from one in 64, scaled up")

enum class Counter : std::uint32_t {
#define SIPROF_COUNTER_ENUM(name, help) name,
  SIPROF_COUNTERS(SIPROF_COUNTER_ENUM)
#undef SIPROF_COUNTER_ENUM
      kCount
};
inline constexpr std::uint32_t kCounterCount = static_cast<std::uint32_t>(Counter::kCount);

// In the place of a number of unmappings: code was being unmapped.
inline constexpr std::uint32_t kUnmapping = ~std::uint32_t{0};

// What a sample is of; its bit in SharedHeader::kinds is 1 << EventKind, kHolder's is kLock's.
enum class EventKind : std::uint16_t { kCpu, kWall, kHeap, kLock, kIo, kError, kHolder };
inline constexpr std::uint32_t kEventKinds = 7;
constexpr std::uint32_t kind_bit(EventKind kind) {
  return 1u << static_cast<std::uint32_t>(kind == EventKind::kHolder ? EventKind::kLock : kind);
}
inline constexpr std::uint32_t kKindCpu = kind_bit(EventKind::kCpu);
// Threads that run are sampled for both.
inline constexpr std::uint32_t kTickingKinds = kKindCpu | kind_bit(EventKind::kWall);
inline constexpr std::uint32_t kAllKinds = kind_bit(EventKind::kError) * 2 - 1;
// In Rates::kinds: the agent takes the process's metrics. The process itself has nothing to do for them but
// to attach.
inline constexpr std::uint32_t kMetricsBit = 1u << 31;

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
  std::atomic<std::uint32_t> control_generation;  // release after these five; acquire in the app
  std::atomic<std::uint32_t> hz;
  std::atomic<std::uint32_t> kinds;
  std::atomic<std::uint64_t> heap_interval_bytes;
  std::atomic<std::uint64_t> block_interval_ns;
  std::atomic<std::uint64_t> error_interval;
  std::atomic<std::uint32_t> refresh_request;  // raised: attach again, the module list is out of reach
  std::atomic<std::uint32_t> scan_request;     // raised: threads without a timer were seen
  // Changes when CodeMap names another or a larger arena; release after that, acquire in the handler.
  std::atomic<std::uint32_t> arena_generation;
  // Nanoseconds of CLOCK_MONOTONIC in 2^32 ticks of the CPU's time stamp counter, 0: not to be used. Relaxed.
  std::atomic<std::uint64_t> tick_scale;
  // Of unsettled_ticks and what came here, as many are in finished profiles; relaxed, a sum.
  std::atomic<std::uint64_t> settled_ticks;

  // How often the app began to unmap code, and how often it was done. While they are equal they number a
  // state of the mappings to which code is added only. Release; acquire in the agent, the ended ones first.
  alignas(64) std::atomic<std::uint32_t> unmaps_begun;
  std::atomic<std::uint32_t> unmaps_ended;

  alignas(64) PythonView python;

  // Written by the app.
  alignas(64) PythonSums python_sums;

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

// A sampled allocation that isn't freed yet, and the number that its record gave it (values[kHeapId]).
// Written by the app: the number is 0 unless it is one of those, and is there before the record is. Where an
// address may stand is shim/probe/live_heap.cpp's matter.
struct LiveSlot {
  std::atomic<std::uint64_t> address;
  std::atomic<std::uint64_t> id;
};
static_assert(sizeof(LiveSlot) == kLiveSlotBytes);

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
  kPythonCode = 4,
};

// Starts at a multiple of 8. `kind` is stored last (release) and read first
// (acquire): a record that is seen is whole.
struct RecordHeader {
  std::atomic<RecordKind> kind;
  std::uint32_t bytes;  // of the whole record, a multiple of 8
};
static_assert(sizeof(RecordHeader) == 8);

inline constexpr std::uint32_t kEventValues = 4;
inline constexpr std::uint32_t kMaxExtraBytes = 512;

// How every sample begins. What `values` are is said where the kind's probe is (shim/probe/KIND.h).
struct EventHead {
  std::uint64_t time_ns;           // CLOCK_MONOTONIC
  std::uint32_t unmap_generation;  // unmaps_begun, or kUnmapping
  std::uint32_t tid;               // as the app sees it
  EventKind event;
  std::uint16_t extra_bytes;  // more of the event, at most kMaxExtraBytes; not a multiple of anything
  std::uint32_t flags;        // SampleFlags, and those lost before it
  std::uint64_t values[kEventValues];
};
static_assert(sizeof(EventHead) == 56);

// Of a CPU sample.
inline constexpr std::uint32_t kCpuTicks = 0;     // values[kCpuTicks]: 1 + overruns
inline constexpr std::uint32_t kCpuPeriodNs = 1;  // CPU time one tick stands for, at most a second
inline constexpr std::uint32_t kCpuInWait = 2;    // 1: in a call whose wall time is told when it is over

// Of a wait that the wall kind tells of when it is over.
inline constexpr std::uint32_t kWallWaitedNs = 0;
inline constexpr std::uint32_t kWallIntervalNs =
    1;  // chosen with 1 - exp(-waited / interval); 0: it always is

// Of a lock sample, which comes when the wait is over. Its extra bytes are addresses of code, innermost
// first: of who unlocked; none if that wasn't seen. A kHolder sample of another thread, of the same lock and
// a time during the wait, has the whole stack.
inline constexpr std::uint32_t kLockBlockedNs = 0;
inline constexpr std::uint32_t kLockIntervalNs =
    1;                                            // chosen with 1 - exp(-blocked / interval); 0: it always is
inline constexpr std::uint32_t kLockAddress = 2;  // of the lock, to be equal to; also of a kHolder sample
inline constexpr std::uint32_t kLockDetail =
    3;  // LockType << 32 | thread id of who unlocked or held it, 0: unknown
enum class LockType : std::uint32_t { kMutex, kRwlock, kCond, kSemaphore, kJoin, kBarrier };
inline constexpr std::uint32_t kLockTypes = 6;
// Of an allocation. It was chosen as one of bytes + 1, so that empty ones may be, too.
inline constexpr std::uint32_t kHeapId = 0;             // unique in the process, never 0
inline constexpr std::uint32_t kHeapBytes = 1;          // that the app asked for
inline constexpr std::uint32_t kHeapIntervalBytes = 2;  // the mean it was chosen with
inline constexpr std::uint32_t kHeapFollowed = 3;       // 1: it has a LiveSlot until it is freed

// Of an exception; the extra bytes are the name of its type, mangled in C++, cut where it is longer, and
// after a zero, where it is asked for and there is one, its message.
inline constexpr std::uint32_t kErrorThrown = 0;  // how many this stack stands for; 0: see the next
// Not 0: it has no handler. Where nothing is thrown it is one that was told of already: of Python's the one
// of the same identity, of C++'s the thread's last.
inline constexpr std::uint32_t kErrorUnhandled = 1;
inline constexpr std::uint32_t kErrorLanguage = 2;  // an ErrorLanguage
// Of Python's: which object it is among those that live.
inline constexpr std::uint32_t kErrorIdentity = 3;
enum class ErrorLanguage : std::uint32_t { kCpp, kPython };

// Order of the x86-64 registers in a sample: DWARF numbering, 16 is rip.
inline constexpr std::uint32_t kRegisterCount = 17;
inline constexpr std::uint32_t kRegisterSp = 7;
inline constexpr std::uint32_t kRegisterIp = 16;

// The extra bytes follow, up to a multiple of 8, `python_words` words (python.h), and then the stack: the
// first bytes in this record, the rest in kStackPiece records of the same chain with the same serial.
struct SampleFields {
  EventHead head;
  std::uint32_t serial;  // joins pieces to their sample
  std::uint32_t inline_stack_bytes;
  std::uint32_t stack_bytes;  // in all; fewer arrive when a piece was lost
  std::uint32_t python_words;
  std::uint64_t stack_start;  // address of the first byte
  std::uint64_t registers[kRegisterCount];
};

struct SampleRecord {
  RecordHeader header;
  SampleFields sample;
};
static_assert(sizeof(SampleRecord) == 88 + 8 * kRegisterCount);

enum SampleFlags : std::uint32_t {
  kStackCut = 1,         // there was more stack than kMaxStackBytes
  kStackForeign = 2,     // not the thread's own stack: fiber or alternate stack
  kTooManyFrames = 4,    // there were more than kMaxFrames
  kGivenUp = 8,          // not to be used, another record comes instead
  kPythonReleased = 16,  // the thread has a Python thread state, and not the GIL
  kPythonBroken = 32,    // the Python frames end at something unreadable
  kPythonCut = 64,       // there were more than kMaxPythonFrames
  kTraceAlone = 128,     // no native frames: the Python ones are of a traceback
};
// Above them: how many samples of the kind found no room since the one before it; not of kCpu and kError,
// which have their own ways to stand for others.
inline constexpr std::uint32_t kLostShift = 16;
inline constexpr std::uint32_t kMostLost = (1u << (32 - kLostShift)) - 1;

// A sample whose stack was walked: after the extra bytes, up to a multiple of 8, `frames` code addresses of
// 8 bytes follow, innermost first, each inside the instruction that is executed or called from; and then
// `python_words` words (python.h).
struct FramesFields {
  EventHead head;
  std::uint32_t frames;
  std::uint32_t python_words;
};

struct FramesRecord {
  RecordHeader header;
  FramesFields sample;
};
static_assert(sizeof(FramesRecord) == 72);
// Of addresses and words together.
inline constexpr std::uint32_t kMaxFrames = (kChunkPayloadBytes - sizeof(FramesRecord) - kMaxExtraBytes) / 8;

struct PythonCodeRecord {
  RecordHeader header;
  PythonCodeFields code;
};
static_assert(sizeof(PythonCodeRecord) == 48);

struct StackPieceRecord {
  RecordHeader header;
  std::uint32_t serial;
  std::uint32_t offset;  // of these bytes in the sample's stack
  std::uint32_t stack_bytes;
  std::uint32_t pad;
};
static_assert(sizeof(StackPieceRecord) == 24);

}  // namespace siprof
