// SPDX-License-Identifier: Apache-2.0
// The way of a sample: from what was recorded to a stack, and on to the intakes of its kind.
#include <string.h>

#include <algorithm>

#include "collector-client/agent/session.h"

namespace siprof::client {
namespace {

const char* name_of_end(StackEnd end) {
  switch (end) {
    case StackEnd::kThreadStart:
      return "stacks_whole";
    case StackEnd::kTruncated:
      return "stacks_truncated";
    case StackEnd::kNoTable:
      return "stacks_without_table";
    case StackEnd::kBroken:
      return "stacks_broken";
    case StackEnd::kTooDeep:
      return "stacks_too_deep";
  }
  return "stacks_broken";
}

}  // namespace

void Session::take_frames(const RawSample& sample, const ModuleMap& map) {
  stack_.frames.clear();
  stack_.guessed_frames = 0;
  stack_.unknown = 0;
  stack_.end = (sample.record.head.flags & kTooManyFrames) != 0 ? StackEnd::kTooDeep : StackEnd::kThreadStart;
  for (const std::uint64_t address : sample.frames) stack_.frames.push_back(map.locate(address));
}

void Session::unwind(const RawSample& sample, const ModuleMap& map) {
  CapturedStack captured;
  static_assert(sizeof(captured.registers) == sizeof(sample.record.registers));
  memcpy(captured.registers.data(), sample.record.registers, sizeof(sample.record.registers));
  captured.bytes = sample.stack;
  captured.stack_start = sample.record.stack_start;
  const std::uint64_t before = workshop_.unwinder.modules_without_tables();
  workshop_.unwinder.unwind(captured, map, stack_);
  modules_without_tables_ += workshop_.unwinder.modules_without_tables() - before;
}

// Where the lock was unlocked, as who waited for it found it noted.
void Session::take_holder(const RawSample& sample, const ModuleMap& map) {
  holder_.clear();
  if (sample.record.head.event != EventKind::kLock) return;
  for (std::size_t at = 0; at + sizeof(std::uint64_t) <= sample.extra.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t address;
    memcpy(&address, sample.extra.data() + at, sizeof address);
    holder_.push_back(map.locate(address));
  }
}

void Session::add(const RawSample& sample) {
  ++samples_;
  ++samples_unpaid_;
  const EventHead& head = sample.record.head;
  ++spending_.samples[static_cast<std::size_t>(head.event)];
  if (head.event == EventKind::kCpu)
    added_ticks_ += std::min<std::uint64_t>(head.values[kCpuTicks], kMostLostTicks);
  const std::span<Intake* const> intakes = intakes_.of(head.event);
  if (intakes.empty()) return;
  const ModuleMap* map = &code_.at(head.unmap_generation, sample.record.registers[kRip]);
  if (!sample.frames.empty() || (head.flags & kTraceAlone) != 0) {
    take_frames(sample, *map);
  } else if (unwind(sample, *map); stack_.unknown != 0) {
    // Code that came after the last look, and calls what was there.
    const std::uint64_t unknown = stack_.unknown;
    map = &code_.at(head.unmap_generation, unknown);
    if (map->find(unknown) != nullptr) unwind(sample, *map);
  }
  take_holder(sample, *map);
  thread_name(head.tid);  // it may be gone when the sample's turn comes
  waiting_.take(sample, stack_, holder_);
}

void Session::finish_sample(const RawSample& sample, UnwoundStack& stack, const Stack& holder) {
  const EventHead& head = sample.record.head;
  const std::span<Intake* const> intakes = intakes_.of(head.event);
  SampleView view;
  view.gil = python_.gil_of(sample, stack.frames);
  const char* mixed = python_.mix(sample, stack.end, &stack.frames);
  view.stack = stack.frames;
  view.holder = holder;
  view.process = number_;
  view.pid = view_.message().pid;
  view.thread_id = static_cast<pid_t>(head.tid);
  view.thread_name = thread_name(head.tid);
  for (Intake* intake : intakes) {
    // Ticks are of two kinds, of which one may be off.
    if (intakes.size() > 1 && !is_on(intake->kind())) continue;
    IntakeOutput out(workshop_.aggregator, series_, intake->kind());
    intake->take(sample, view, out);
    count_stack(intake->kind(), stack);
    if (mixed != nullptr) out.count(mixed, 1);
  }
}

void Session::count_stack(Kind kind, const UnwoundStack& stack) {
  workshop_.aggregator.count(series_, kind, name_of_end(stack.end), 1);
  if (stack.guessed_frames != 0)
    workshop_.aggregator.count(series_, kind, "frames_guessed", stack.guessed_frames);
}

}  // namespace siprof::client
