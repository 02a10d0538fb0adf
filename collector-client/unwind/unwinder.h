// SPDX-License-Identifier: Apache-2.0
// Walks captured stacks: registers and a stack copy in, code addresses out. Called by the
// drain step for every record that carries a copy. One thread.
//
// Frames with plain rules (nearly all) are stepped by rules that are compiled once per
// address from the file's call-frame information (frame_rules.h); frames whose rules are DWARF
// expressions by libunwind's remote interface (libunwind_step.h); code without tables by
// frame pointer, within the copy's bounds.
#pragma once

#include <cstdint>
#include <vector>

#include "collector-client/base/module.h"
#include "collector-client/unwind/captured_stack.h"
#include "collector-client/unwind/frame_rules.h"
#include "collector-client/unwind/module_map.h"

namespace siprof::client {

enum class StackEnd {
  kThreadStart,  // whole: the outermost frame was reached
  kTruncated,    // the next frame is beyond the copy
  kNoTable,      // no unwind information and no usable frame pointer
  kBroken,       // the tables and the stack contradict each other
  kTooDeep,      // kMaxDepth frames were taken, there are more
};

inline constexpr std::size_t kMaxDepth = 512;

struct UnwoundStack {
  // Leaf first. The leaf and frames interrupted by a signal are exact, the others one less than
  // the address they return to. A signal
  // trampoline is a frame of its own, exact too.
  std::vector<CodeAddress> frames;
  StackEnd end = StackEnd::kBroken;
  std::uint64_t unknown = 0;         // kBroken at a caller that no mapping has: where that is; else 0
  std::uint32_t guessed_frames = 0;  // found by frame pointer or by the word at rsp
};

class Unwinder {
 public:
  // `stack` is overwritten; pass the same one again to save allocations.
  // At least the leaf comes out, even for garbage.
  void unwind(const CapturedStack& captured, const ModuleMap& map, UnwoundStack& stack);

  // Since the start; see FrameRulesCache.
  std::uint64_t modules_without_tables() const { return rules_.modules_without_tables(); }

  // After ModuleCache::trim().
  void trim() { rules_.trim(); }
  // Before ModuleCache::evict().
  void forget(const absl::flat_hash_set<const Module*>& modules) { rules_.forget(modules); }

 private:
  FrameRulesCache rules_;
};

}  // namespace siprof::client
