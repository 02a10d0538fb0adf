// SPDX-License-Identifier: Apache-2.0
#include "shim/core/python_walk.h"

#include "shim/base/guarded.h"
#include "shim/core/python_objects.h"

namespace siprof::shim {
namespace {

// Shim frames count as well. What a cycle costs.
constexpr std::uint32_t kMostSteps = 2 * kMaxPythonFrames + 8;
// In 3.11 and 3.12 a frame's C variables are published before they are filled in, and so is the one before
// them, as signal handlers of Python code may run there.
constexpr int kMostUnfinished = 3;
// _PyStackRef and tagged pointers.
constexpr std::uint64_t kTags = 7;

constexpr std::uint32_t bounded(std::uint64_t instruction) {
  return instruction < kPythonNoInstruction ? static_cast<std::uint32_t>(instruction) : kPythonNoInstruction;
}

}  // namespace

PythonWalk::PythonWalk(const PythonLayout& layout, std::uint64_t code_type, std::uint64_t thread_state)
    : layout_(layout), code_type_(code_type) {
  if (!may_be_object(thread_state) || !find_top(thread_state) || !skip_shims()) stop(PythonWalkEnd::kBroken);
}

// False: nothing there is a frame.
bool PythonWalk::find_top(std::uint64_t thread_state) {
  std::uint64_t top = 0;
  if (!load_word(thread_state + layout_.top_frame, &top)) return false;
  if (layout_.cframe_current == kNoOffset) return enter(top);
  for (int i = 0; i < kMostUnfinished && top != 0; ++i) {
    std::uint64_t current = 0;
    if (!may_be_object(top)) return false;
    if (load_word(top + layout_.cframe_current, &current) && enter(current)) return true;
    if (!load_word(top + layout_.cframe_previous, &top)) return false;
  }
  return false;
}

// Also the code is looked at, so that what isn't a frame is known before anything is told of it. False: it
// isn't one.
bool PythonWalk::enter(std::uint64_t frame) {
  frame_ = frame;
  if (frame == 0) return true;
  if (++steps_ > kMostSteps || !may_be_object(frame)) return false;
  return load_word(frame + layout_.previous, &previous_) && enter_code(frame);
}

bool PythonWalk::enter_code(std::uint64_t frame) {
  entry_ = 0;
  code_ = 0;
  if (layout_.entry_kind != PythonEntry::kEveryFrame && !load_part(frame + layout_.entry, &entry_))
    return false;
  if (layout_.entry_kind == PythonEntry::kShim && entry_ >= kPythonShimOwner) return true;
  std::uint64_t type = 0;
  std::uint64_t code = 0;
  if (!load_word(frame + layout_.code, &code)) return false;
  code &= ~kTags;
  if (!may_be_object(code) || !load_word(code + kObjectType, &type) || type != code_type_) return false;
  code_ = code;
  return true;
}

// False: what comes isn't a frame.
bool PythonWalk::skip_shims() {
  while (frame_ != 0 && code_ == 0) {
    if (!enter(previous_)) return false;
  }
  return true;
}

bool PythonWalk::stop(PythonWalkEnd end) {
  frame_ = 0;
  end_ = end;
  return false;
}

std::uint32_t PythonWalk::instruction() const {
  if (layout_.instruction_kind != PythonInstruction::kPointer) {
    std::int32_t last = 0;
    if (!load_part(frame_ + layout_.instruction, &last) || last < 0) return kPythonNoInstruction;
    const auto words = static_cast<std::uint32_t>(last);
    return bounded(layout_.instruction_kind == PythonInstruction::kLastBytes ? words / 2 : words);
  }
  std::uint64_t at = 0;
  if (!load_word(frame_ + layout_.instruction, &at)) return kPythonNoInstruction;
  // Before the first one: nothing was executed yet.
  return bounded((at - (code_ + layout_.code_bytes)) / 2);
}

bool PythonWalk::next(PythonFrame* frame) {
  if (frame_ == 0) return false;
  frame->code = code_;
  frame->instruction = instruction();
  frame->segment_end = layout_.entry_kind == PythonEntry::kEveryFrame ||
                       (layout_.entry_kind == PythonEntry::kFlag && entry_ != 0);
  if (!enter(previous_)) {
    stop(steps_ > kMostSteps ? PythonWalkEnd::kTooDeep : PythonWalkEnd::kBroken);
    return true;
  }
  if (layout_.entry_kind == PythonEntry::kShim) frame->segment_end = frame_ == 0 || code_ == 0;
  if (!skip_shims()) stop(steps_ > kMostSteps ? PythonWalkEnd::kTooDeep : PythonWalkEnd::kBroken);
  return true;
}

PythonWalkResult python_walk(const PythonLayout& layout, std::uint64_t code_type, std::uint64_t thread_state,
                             PythonFrame* frames, std::uint32_t most) {
  PythonWalk walk(layout, code_type, thread_state);
  PythonFrame frame{};
  std::uint32_t count = 0;
  while (walk.next(&frame)) {
    if (count == most) return {count, PythonWalkEnd::kTooDeep};
    frames[count++] = frame;
  }
  return {count, walk.end()};
}

}  // namespace siprof::shim
