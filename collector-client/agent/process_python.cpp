// SPDX-License-Identifier: Apache-2.0
// See process_python.h.
#include "collector-client/agent/process_python.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace siprof::client {
namespace {

const char* name_of(Alignment alignment) {
  switch (alignment) {
    case Alignment::kAligned:
      return "python_aligned";
    case Alignment::kEntering:
      return "python_entering";
    case Alignment::kPartial:
      return "python_partial";
    case Alignment::kMismatched:
      return "python_mismatched";
  }
  return "python_mismatched";
}

const char* text_of(PythonRefusal refusal) {
  if (refusal == PythonRefusal::kUnreadable) return "the interpreter's code type can't be read";
  if (refusal == PythonRefusal::kNoGuard) return "the program has SIGSEGV or SIGBUS to itself";
  return "the interpreter isn't laid out as its version is";
}

}  // namespace

NativeFrames native_frames_of(const Environment& environment, NativeFrames otherwise,
                              std::vector<std::string>* warnings) {
  const auto given = environment.find("SIPROF_NATIVE_FRAMES");
  if (given == environment.end() || given->second.empty()) return otherwise;
  const std::optional<NativeFrames> frames = parse_native_frames(given->second);
  if (!frames)
    warnings->push_back("SIPROF_NATIVE_FRAMES=" + given->second + " is not used: write app, all or none");
  return frames.value_or(otherwise);
}

ProcessPython::ProcessPython(SharedPool& pool, const PythonWorkshop& workshop,
                             std::shared_ptr<FileOpener> opener, NativeFrames shown, pid_t pid)
    : pool_(pool),
      workshop_(workshop),
      shown_(shown),
      pid_(pid),
      book_(workshop.functions, std::move(opener)) {}

void ProcessPython::follow(const ModuleMap& map, const Module* executable, std::uint32_t unmap_generation) {
  if (map.generation() != map_generation_) {
    map_generation_ = map.generation();
    const Found found = find(map, executable);
    // A child shows what its parent had, until it is told.
    if (found != found_ || !std::exchange(is_told_, true)) {
      found_ = found;
      publish();
    }
  }
  if (unmap_generation == unmap_generation_) return;
  unmap_generation_ = unmap_generation;
  pool_.set_python_unmaps(unmap_generation);
}

ProcessPython::Found ProcessPython::find(const ModuleMap& map, const Module* executable) {
  Found found;
  const PythonModule* first = nullptr;  // readable or not
  has_unreadable_ = false;
  for (const CodeMapping& mapping : map.mappings()) {
    if (mapping.module == found.module && found.module != nullptr) continue;
    const PythonModule* python = workshop_.modules.of(mapping.module);
    if (python == nullptr) continue;
    if (first == nullptr) first = python;
    has_unreadable_ |= !python->trouble.empty();
    if (!python->trouble.empty()) continue;
    const bool is_another = found.module != nullptr && found.module != mapping.module;
    if (is_another && !std::exchange(has_several_, true))
      spdlog::warn("process {} has several Python interpreters, frames are of one alone", pid_);
    const bool is_first = found.module == nullptr;
    const bool was_found = mapping.module == found_.module && found.module != executable;
    if (is_first || was_found || mapping.module == executable) found = {mapping.module, python, mapping.bias};
  }
  const PythonModule* named = found.python != nullptr ? found.python : first;
  version_ = named != nullptr ? named->version : "";
  return found;
}

void ProcessPython::publish() {
  if (found_.module == nullptr) return pool_.withdraw_python();
  const PythonModule& python = *found_.python;
  // The loader's arithmetic; of what a file doesn't have it stays 0.
  const auto placed = [&](std::uint64_t address) { return address != 0 ? address + found_.bias : 0; };
  pool_.publish_python({*python.layout, placed(python.this_thread_state), placed(python.current_state),
                        placed(python.is_finalizing), placed(python.code_type)});
}

void ProcessPython::look_for_refusal() {
  const PythonRefusal refusal = pool_.python_refusal();
  if (refusal == PythonRefusal::kNone || found_.module == nullptr || std::exchange(refusal_told_, true))
    return;
  spdlog::warn("process {}: no Python frames: {}", pid_, text_of(refusal));
}

bool ProcessPython::knows(const RawSample& sample) const {
  return std::ranges::all_of(sample.python,
                             [this](std::uint64_t word) { return book_.knows(python_mark(word)); });
}

void ProcessPython::give_up(const RawSample& sample) {
  for (const std::uint64_t word : sample.python)
    if (!book_.knows(python_mark(word))) book_.give_up(python_mark(word));
}

Gil ProcessPython::gil_of(const RawSample& sample, std::span<const CodeAddress> stack) const {
  if (found_.python != nullptr) {
    for (const CodeAddress& code : stack) {
      if (code.module != found_.module) continue;
      if (contains(found_.python->gil_waits, code.address)) return Gil::kAwaited;
      if (contains(found_.python->evaluation, code.address)) break;
    }
  }
  return (sample.record.head.flags & kPythonReleased) != 0 ? Gil::kReleased : Gil::kUnknown;
}

const char* ProcessPython::mix(const RawSample& sample, StackEnd end, std::vector<CodeAddress>* stack) {
  if (sample.python.empty()) return nullptr;
  frames_.clear();
  for (const std::uint64_t word : sample.python) {
    const bool ends_segment = (word & kPythonSegmentEnd) != 0;
    if (book_.is_helper(word)) {
      if (ends_segment && !frames_.empty()) frames_.back().ends_segment = true;
      continue;
    }
    frames_.push_back({book_.frame(word), ends_segment});
    unnamed_ += PythonFunctions::function_of(frames_.back().code) == PythonFunctions::kUnknown;
  }
  if ((sample.record.head.flags & kTraceAlone) != 0) {  // nothing to be put among
    stack->clear();
    for (const PythonFrame& frame : frames_) stack->push_back(frame.code);
    return nullptr;
  }
  static const PythonModule kNone;
  MixedStack both;
  both.native = *stack;
  both.native_is_whole = end == StackEnd::kThreadStart;
  both.python = frames_;
  both.python_is_whole = (sample.record.head.flags & (kPythonBroken | kPythonCut)) == 0;
  // Of an interpreter that is gone meanwhile no native frame is known.
  const Module* module = found_.module != nullptr ? found_.module : python_code();
  const PythonModule& python = found_.python != nullptr ? *found_.python : kNone;
  const Alignment alignment = interleave(both, module, python, &mixed_);
  hide_native_frames(shown_, found_.module, &mixed_);
  stack->swap(mixed_);
  return name_of(alignment);
}

void ProcessPython::refresh() {
  if (!book_.is_full()) return;
  book_.turn_over();
  publish();
}

Counters ProcessPython::take_failures() {
  Counters failures;
  if (unnamed_ != 0) failures["python_unnamed"] = std::exchange(unnamed_, 0);
  if (has_unreadable_) failures["python_unsupported"] = 1;
  if (found_.module != nullptr && pool_.python_refusal() != PythonRefusal::kNone)
    failures["python_refused"] = 1;
  return failures;
}

}  // namespace siprof::client
