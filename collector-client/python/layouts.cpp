// SPDX-License-Identifier: Apache-2.0
// The table of layouts: 3.8 to 3.13 as the interpreters' own debug information and PyCode_Type have
// them, 3.14 from its sources; the process compares each with PyCode_Type before it believes it.
#include "collector-client/python/layouts.h"

#include <algorithm>

namespace siprof::client {
namespace {

// PyThreadState::_status, whose fifth bit is `active`: the thread has the GIL.
constexpr std::uint16_t kActive = 1 << 4;

constexpr PythonLayout kPython38 = {
    .version = python_version(3, 8),
    .instruction_kind = PythonInstruction::kLastBytes,
    .entry_kind = PythonEntry::kEveryFrame,
    .top_frame = 24,
    .cframe_current = kNoOffset,
    .cframe_previous = kNoOffset,
    .thread_id = 176,
    .native_thread_id = kNoOffset,
    .status = kNoOffset,
    .status_attached = 0,
    .code = 32,
    .previous = 24,
    .instruction = 104,
    .entry = kNoOffset,
    .code_bytes = 176,
    .file_name = 104,
    .name = 112,
    .plain_name = 112,
    .line_table = 120,
    .first_line = 40,
    .flags = 36,
    .ascii_data = 48,
    .compact_data = 72,
};

constexpr PythonLayout python39() {
  PythonLayout layout = kPython38;
  layout.version = python_version(3, 9);
  return layout;
}

constexpr PythonLayout python310() {
  PythonLayout layout = kPython38;
  layout.version = python_version(3, 10);
  layout.instruction_kind = PythonInstruction::kLastWords;
  layout.instruction = 96;
  return layout;
}

constexpr PythonLayout kPython311 = {
    .version = python_version(3, 11),
    .instruction_kind = PythonInstruction::kPointer,
    .entry_kind = PythonEntry::kFlag,
    .top_frame = 56,
    .cframe_current = 8,
    .cframe_previous = 16,
    .thread_id = 152,
    .native_thread_id = 160,
    .status = kNoOffset,
    .status_attached = 0,
    .code = 32,
    .previous = 48,
    .instruction = 56,
    .entry = 68,
    .code_bytes = 184,
    .file_name = 112,
    .name = 128,
    .plain_name = 120,
    .line_table = 136,
    .first_line = 72,
    .flags = 48,
    .ascii_data = 48,
    .compact_data = 72,
};

constexpr PythonLayout kPython312 = {
    .version = python_version(3, 12),
    .instruction_kind = PythonInstruction::kPointer,
    .entry_kind = PythonEntry::kShim,
    .top_frame = 56,
    .cframe_current = 0,
    .cframe_previous = 8,
    .thread_id = 136,
    .native_thread_id = 144,
    .status = 24,
    .status_attached = kActive,
    .code = 0,
    .previous = 8,
    .instruction = 56,
    .entry = 70,
    .code_bytes = 192,
    .file_name = 112,
    .name = 128,
    .plain_name = 120,
    .line_table = 136,
    .first_line = 68,
    .flags = 48,
    .ascii_data = 40,
    .compact_data = 56,
};

constexpr PythonLayout python313() {
  PythonLayout layout = kPython312;
  layout.version = python_version(3, 13);
  layout.top_frame = 72;
  layout.cframe_current = kNoOffset;
  layout.cframe_previous = kNoOffset;
  layout.thread_id = 152;
  layout.native_thread_id = 160;
  layout.status = 32;
  layout.code_bytes = 200;
  return layout;
}

constexpr PythonLayout python314() {
  PythonLayout layout = python313();
  layout.version = python_version(3, 14);
  layout.entry = 74;
  layout.code_bytes = 208;
  return layout;
}

constexpr PythonLayout kLayouts[] = {kPython38,  python39(),  python310(), kPython311,
                                     kPython312, python313(), python314()};

}  // namespace

const PythonLayout* find_layout(std::uint16_t version) {
  const auto* found = std::ranges::find(kLayouts, version, &PythonLayout::version);
  return found != std::end(kLayouts) ? found : nullptr;
}

std::span<const PythonLayout> all_layouts() {
  return kLayouts;
}

}  // namespace siprof::client
