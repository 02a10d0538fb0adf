// SPDX-License-Identifier: Apache-2.0
// Whether the shim's walk of one stack is what libunwind's is.
#pragma once

#include <cstdint>
#include <span>

#include "shim/core/stack_walk.h"
#include "test/oracle/libunwind_walk.h"

namespace siprof::oracle {

enum class Verdict : std::uint8_t {
  kEqual,      // all frames, to the thread's start
  kBothStop,   // all frames, and neither has rules for the last one
  kTruncated,  // equal as far as it goes, and marked: the shim copies such a stack
  kFurther,    // libunwind stops earlier; each return address behind that follows a call
  kWrong,
};

struct Judgement {
  Verdict verdict = Verdict::kEqual;
  std::size_t frame = 0;  // whose step decided it
};

Judgement judge(const ProcessView& view, const shim::WalkResult& result, std::span<const std::uint64_t> ours,
                const OracleWalk& theirs);

// What the shim's table says at an address of the process, for people: "kSp 16 fp 0".
std::string rule_at(const shim::CodeView& code, std::uint64_t address);

}  // namespace siprof::oracle
