// SPDX-License-Identifier: Apache-2.0
// Walks a stack inside the handler, by the agent's tables (proto/siprof/unwind_tables.h): three
// registers, loads within known bounds, no call, no lock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "proto/siprof/unwind_tables.h"
#include "shim/base/attrs.h"

namespace siprof::shim {

// [low, high) can be loaded from, at `shift` from there: a copy of a stack is elsewhere.
struct StackBounds {
  std::uint64_t low;
  std::uint64_t high;
  std::uint64_t shift = 0;  // modulo 2^64
};

// What a process knows of its code. Kept by whoever publishes it; only read here.
struct CodeView {
  const std::byte* arena;  // null: no tables yet
  std::uint64_t arena_bytes;
  const CodeRange* ranges;
  std::uint32_t range_count;
  // Rules by code address, kRuleCacheSize words, shared by all threads without any order: each names the code
  // that it is for. Null: none.
  std::uint64_t* rule_cache;
  std::uint32_t arena_number;  // below kMostArenas: of arenas whose rules are in the same cache
};
inline constexpr std::uint32_t kRuleCacheBits = 12;
inline constexpr std::uint32_t kRuleCacheSize = 1u << kRuleCacheBits;
inline constexpr std::uint32_t kMostArenas = 16;

struct WalkRegisters {
  std::uint64_t ip;
  std::uint64_t sp;
  std::uint64_t fp;
  // The ucontext_t that holds them, and all others; null: only these three are known.
  const void* context = nullptr;
};

enum class WalkEnd : std::uint8_t {
  kComplete,  // the thread's start
  kUnknown,   // an address outside all ranges, or without rules
  kOther,     // a rule that rows can't hold
  kBounds,    // the next word isn't within the bounds, or a frame isn't above its callee
  kTooDeep,   // more frames than asked for
};

struct WalkResult {
  std::uint32_t frames;     // stored
  std::uint32_t fp_frames;  // of them found by frame pointer
  WalkEnd end;
};

// Stores up to `most` addresses, innermost first: where execution goes on (the first one, trampolines and
// what they interrupted), and one byte before where a call returns to, which is inside the call.
// `own` is the thread's stack, `current` what registers.sp is in: the same, or an alternate stack.
// Context: signal handler. Errors: none; `end` says why it stopped.
SIPROF_SIGNAL_SAFE WalkResult walk_stack(const CodeView& view, WalkRegisters registers, StackBounds current,
                                         StackBounds own, std::uint64_t* addresses, std::uint32_t most);

}  // namespace siprof::shim
