// SPDX-License-Identifier: Apache-2.0
#include "shim/core/python_sample.h"

#include "shim/core/fault_guard.h"
#include "shim/core/fault_window.h"
#include "shim/core/process.h"
#include "shim/core/python_thread.h"
#include "shim/core/python_view.h"
#include "shim/core/python_walk.h"

namespace siprof::shim {
namespace {

// By one sample: the first of a deep stack tells of it all, some ten microseconds.
constexpr std::uint32_t kMostTold = 128 * 1024;

}  // namespace

PythonSample::PythonSample(SharedHeader* header, std::uint64_t session, ThreadState& thread, PoolShare share,
                           const ucontext_t* context)
    : thread_(thread) {
  if (SIPROF_LIKELY(!shows_python(header))) return;
  if (prepare(header))
    take(header, session, share, context);
  else
    count(Counter::python_skipped);
}

// False: not here, or not now.
bool PythonSample::prepare(SharedHeader* header) {
  const bool guarded = guard_holds() || begin_fault_guard();
  const auto shown = static_cast<PythonRefusal>(header->python.refusal.load(std::memory_order_relaxed));
  if (guarded == (shown == PythonRefusal::kNoGuard))
    show_refusal(header, guarded ? PythonRefusal::kNone : PythonRefusal::kNoGuard);
  if (!guarded) return false;
  slot_ = take_slot(thread_);
  return slot_ != nullptr && python_is_mapped(header);
}

void PythonSample::take(SharedHeader* header, std::uint64_t session, PoolShare share,
                        const ucontext_t* context) {
  PythonAccess access;
  if (SIPROF_UNLIKELY(!knows_python(header, session, &access))) {
    const FaultWindow window(thread_, slot_, context);
    if (!window.open() || !follow_python(header, session, &access)) {
      count(Counter::python_skipped);
      return;
    }
  }
  if (access.interpreter == nullptr) return;
  const PythonStates states = ask_for_states(*access.interpreter, thread_);
  if (states.own == 0) return;
  const FaultWindow window(thread_, slot_, context);
  if (!window.open()) {
    count(Counter::python_skipped);
    return;
  }
  bool released = false;
  const std::uint64_t state = check_states(access.interpreter->layout, thread_, states, &released);
  if (state == 0) return;
  if (released) flags_ |= kPythonReleased;
  RingWriter writer(header, session, thread_, share);
  walk(access, state, &writer);
}

void PythonSample::walk(PythonAccess& access, std::uint64_t state, RingWriter* writer) {
  const PythonLayout& layout = access.interpreter->layout;
  PythonWalk walk(layout, access.interpreter->code_type, state);
  PythonFrame frame;
  std::uint32_t told = 0;
  bool broken = false;
  while (!broken && walk.next(&frame)) {
    if (count_ == kMaxPythonFrames) {
      flags_ |= kPythonCut;
      break;
    }
    PythonCode code;
    if (!look_at_code(layout, frame.code, &code)) {
      broken = true;
      break;
    }
    std::uint64_t mark = access.book.find(code, access.edition);
    if (SIPROF_UNLIKELY(mark == 0)) {
      const Telling telling =
          told < kMostTold ? tell_code(writer, layout, code, &mark, &told) : Telling::kNoRoom;
      if (telling == Telling::kNoRoom) {
        count(Counter::python_code_lost);
        count_ = 0;
        return;
      }
      broken = telling == Telling::kUnreadable;
      if (broken) break;
      access.book.note(code, access.edition, mark);
    }
    slot_->words[count_++] = python_word(mark, frame.instruction, frame.segment_end);
  }
  if (broken || (walk.end() != PythonWalkEnd::kComplete && (flags_ & kPythonCut) == 0)) {
    flags_ |= kPythonBroken;
    count(Counter::python_broken);
  }
  if (count_ != 0) count(Counter::python_walked);
  if ((flags_ & kPythonCut) != 0) count(Counter::python_cut);
}

}  // namespace siprof::shim
