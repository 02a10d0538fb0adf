// SPDX-License-Identifier: Apache-2.0
// Walks the Python frames of a thread, by the agent's layout of one minor version (proto/siprof/python.h). A
// pure function of memory: every load is guarded, every pointer checked before, and the number of steps is
// bounded, so that it ends on whatever it meets.
#pragma once

#include <cstdint>

#include "proto/siprof/python.h"
#include "shim/base/attrs.h"

namespace siprof::shim {

struct PythonFrame {
  std::uint64_t code;         // an object of `code_type`
  std::uint32_t instruction;  // in words of 2 bytes, or kPythonNoInstruction
  bool segment_end;           // the outermost of one call of the evaluation function
};

// Frames that are known already, innermost first: of a traceback. Their code lives.
struct PythonTrace {
  const PythonFrame* frames;
  std::uint32_t count;  // at most kMaxPythonFrames
  bool is_cut;          // there were more
};

enum class PythonWalkEnd : std::uint8_t {
  kComplete,  // the thread's first frame
  kBroken,    // something that isn't a frame, or unreadable
  kTooDeep,   // more than kMaxPythonFrames, or than asked for
};

class PythonWalk {
 public:
  // `thread_state` is a PyThreadState, `code_type` PyCode_Type. Nothing is kept but references. Context:
  // signal handler, any thread; the fault guard is in force.
  SIPROF_SIGNAL_SAFE PythonWalk(const PythonLayout& layout, std::uint64_t code_type,
                                std::uint64_t thread_state);

  // The next one, innermost first. False: there is none, end() says why.
  SIPROF_SIGNAL_SAFE bool next(PythonFrame* frame);
  PythonWalkEnd end() const { return end_; }

 private:
  SIPROF_SIGNAL_SAFE bool find_top(std::uint64_t thread_state);
  SIPROF_SIGNAL_SAFE bool enter(std::uint64_t frame);
  SIPROF_SIGNAL_SAFE bool enter_code(std::uint64_t frame);
  SIPROF_SIGNAL_SAFE bool skip_shims();
  SIPROF_SIGNAL_SAFE std::uint32_t instruction() const;
  SIPROF_SIGNAL_SAFE bool stop(PythonWalkEnd end);

  const PythonLayout& layout_;
  std::uint64_t code_type_;
  std::uint64_t frame_ = 0;  // 0: none is left
  std::uint64_t code_ = 0;   // its code; 0: it is a shim frame
  std::uint64_t previous_ = 0;
  std::uint32_t steps_ = 0;
  std::uint8_t entry_ = 0;
  PythonWalkEnd end_ = PythonWalkEnd::kComplete;
};

struct PythonWalkResult {
  std::uint32_t frames;  // stored
  PythonWalkEnd end;
};

// All at once: up to `most`. Context: as PythonWalk.
SIPROF_SIGNAL_SAFE PythonWalkResult python_walk(const PythonLayout& layout, std::uint64_t code_type,
                                                std::uint64_t thread_state, PythonFrame* frames,
                                                std::uint32_t most);

}  // namespace siprof::shim
