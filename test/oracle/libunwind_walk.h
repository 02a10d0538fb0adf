// SPDX-License-Identifier: Apache-2.0
// The oracle: a whole walk by libunwind alone, all registers, one step after the other.
//
// A step takes it 3 µs. Its answers are kept by what it looked at to give them (registers and words of the
// stack), so that frames which haven't changed since the last instruction cost little. libunwind's own cache
// would not do: it takes an address that is executed and the same one returned to for one, and they may have
// different rules.
#pragma once

#include <vector>

#include "collector-client/unwind/libunwind_step.h"
#include "test/oracle/process_view.h"

namespace siprof::oracle {

enum class OracleEnd {
  kComplete,  // the thread's start
  kStopped,   // it has no rules there, or the stack doesn't fit them
  kTooDeep,
};

struct OracleWalk {
  std::vector<std::uint64_t> addresses;  // as walk_stack() stores them
  std::vector<client::Registers> frames;
  OracleEnd end = OracleEnd::kStopped;
};

class LibunwindWalker {
 public:
  void walk(const ProcessView& view, const client::Registers& registers, std::size_t most, OracleWalk* walk);

  std::uint64_t steps() const { return steps_; }
  std::uint64_t steps_kept() const { return steps_kept_; }
  std::uint64_t kept_wrongly() const { return kept_wrongly_; }

 private:
  struct Answer {
    std::uint64_t lookup = 0;
    client::Registers before{};
    client::StepLog log;
    client::Registers after{};
    client::StepResult result = client::StepResult::kFailed;
  };
  client::StepResult step(const ProcessView& view, std::uint64_t lookup, client::Registers* registers);
  void check(const client::StepInput& input, client::StepResult kept, client::Registers before,
             const client::Registers& after);
  static bool still_right(const Answer& answer, std::uint64_t lookup, const client::Registers& registers,
                          const client::CapturedStack& stack);

  std::uint64_t generation_ = 0;  // of the map that the answers are for
  std::vector<Answer> answers_;
  std::uint64_t steps_ = 0;
  std::uint64_t steps_kept_ = 0;
  std::uint64_t kept_wrongly_ = 0;
};

}  // namespace siprof::oracle
