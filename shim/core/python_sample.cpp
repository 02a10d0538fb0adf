// SPDX-License-Identifier: Apache-2.0
#include "shim/core/python_sample.h"

#include "shim/core/capture.h"
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

PythonSample::PythonSample(SharedHeader* header, std::uint64_t session, ThreadState& thread,
                           const Event& event, const ucontext_t* context)
    : thread_(thread) {
  if (SIPROF_LIKELY(!shows_python(header))) return;
  if (prepare(header))
    take(header, session, event, context);
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

void PythonSample::take(SharedHeader* header, std::uint64_t session, const Event& event,
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
  PythonStates states{};
  if (SIPROF_LIKELY(event.trace == nullptr)) {
    states = ask_for_states(*access.interpreter, thread_);
    if (states.own == 0) return;
  }
  const FaultWindow window(thread_, slot_, context);
  if (!window.open()) {
    count(Counter::python_skipped);
    return;
  }
  RingWriter writer(header, session, thread_, share_of(event.kind));
  if (SIPROF_UNLIKELY(event.trace != nullptr)) return follow(access, *event.trace, &writer);
  bool released = false;
  const std::uint64_t state = check_states(access.interpreter->layout, thread_, states, &released);
  if (state == 0) return;
  if (released) flags_ |= kPythonReleased;
  walk(access, state, &writer);
}

PythonSample::Added PythonSample::add(PythonAccess& access, const PythonFrame& frame, RingWriter* writer) {
  const PythonLayout& layout = access.interpreter->layout;
  PythonCode code;
  if (!look_at_code(layout, frame.code, &code)) return Added::kBroken;
  std::uint64_t mark = access.book.find(code, access.edition);
  if (SIPROF_UNLIKELY(mark == 0)) {
    const Telling telling =
        told_ < kMostTold ? tell_code(writer, layout, code, &mark, &told_) : Telling::kNoRoom;
    if (telling == Telling::kNoRoom) return Added::kNoRoom;
    if (telling == Telling::kUnreadable) return Added::kBroken;
    access.book.note(code, access.edition, mark);
  }
  slot_->words[count_++] = python_word(mark, frame.instruction, frame.segment_end);
  return Added::kYes;
}

void PythonSample::follow(PythonAccess& access, const PythonTrace& trace, RingWriter* writer) {
  if (trace.is_cut) flags_ |= kPythonCut;
  for (std::uint32_t i = 0; i < trace.count; ++i) {
    const Added added = add(access, trace.frames[i], writer);
    if (added == Added::kYes) continue;
    flags_ |= kPythonBroken;
    count(added == Added::kNoRoom ? Counter::python_code_lost : Counter::python_broken);
    break;
  }
  count_frames();
}

void PythonSample::walk(PythonAccess& access, std::uint64_t state, RingWriter* writer) {
  PythonWalk walk(access.interpreter->layout, access.interpreter->code_type, state);
  PythonFrame frame;
  bool broken = false;
  while (!broken && walk.next(&frame)) {
    if (count_ == kMaxPythonFrames) {
      flags_ |= kPythonCut;
      break;
    }
    const Added added = add(access, frame, writer);
    if (SIPROF_UNLIKELY(added == Added::kNoRoom)) {
      count(Counter::python_code_lost);
      count_ = 0;
      return;
    }
    broken = added == Added::kBroken;
  }
  if (broken || (walk.end() != PythonWalkEnd::kComplete && (flags_ & kPythonCut) == 0)) {
    flags_ |= kPythonBroken;
    count(Counter::python_broken);
  }
  count_frames();
}

void PythonSample::count_frames() const {
  if (count_ != 0) count(Counter::python_walked);
  if ((flags_ & kPythonCut) != 0) count(Counter::python_cut);
}

}  // namespace siprof::shim
