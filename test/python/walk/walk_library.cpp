// SPDX-License-Identifier: Apache-2.0
// The shim's walk of Python frames and the agent's layouts and line tables in one library, for points.py to
// call by ctypes: what it says can be held against the interpreter's own frames, at a point that both know.
#include <dlfcn.h>
#include <link.h>
#include <unwind.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "collector-client/python/layouts.h"
#include "collector-client/python/line_table.h"
#include "shim/base/guarded.h"
#include "shim/core/python_objects.h"
#include "shim/core/python_text.h"
#include "shim/core/python_walk.h"

namespace {

using namespace siprof;

struct Row {
  char name[kMaxPythonName];
  char plain_name[kMaxPythonName];
  char file[kMaxPythonFile];
  std::uint32_t line;
  std::uint32_t segment_end;
};

std::uint64_t word_at(std::uint64_t address) {
  std::uint64_t word = 0;
  shim::load_word(address, &word);
  return word;
}

bool copy_text(const PythonLayout& layout, std::uint64_t object, std::uint32_t most, char* to) {
  shim::PythonText text;
  return shim::open_text(layout, object, &text) && shim::text_to_utf8(text, most, to, nullptr) != 0;
}

bool fill(const PythonLayout& layout, const shim::PythonFrame& frame, Row* row) {
  const std::uint64_t table = word_at(frame.code + layout.line_table);
  std::vector<std::byte> bytes(word_at(table + shim::kObjectSize));
  std::memcpy(bytes.data(), reinterpret_cast<const void*>(table + shim::kBytesData), bytes.size());
  std::uint32_t first_line = 0;
  if (!shim::load_part(frame.code + layout.first_line, &first_line)) return false;
  // Of a frame that hasn't begun the interpreter says its function's line, and so does the agent.
  const std::uint32_t otherwise = frame.instruction == kPythonNoInstruction ? first_line : 0;
  row->line = client::line_of(layout.version, bytes, first_line, frame.instruction).value_or(otherwise);
  row->segment_end = frame.segment_end;
  return copy_text(layout, word_at(frame.code + layout.name), kMaxPythonName, row->name) &&
         copy_text(layout, word_at(frame.code + layout.plain_name), kMaxPythonName, row->plain_name) &&
         copy_text(layout, word_at(frame.code + layout.file_name), kMaxPythonFile, row->file);
}

struct Evaluations {
  std::uint64_t start;
  std::uint64_t bytes;
  std::uint32_t count;
};

_Unwind_Reason_Code count_evaluation(_Unwind_Context* context, void* argument) {
  auto* evaluations = static_cast<Evaluations*>(argument);
  evaluations->count += _Unwind_GetIP(context) - 1 - evaluations->start < evaluations->bytes;
  return _URC_NO_REASON;
}

}  // namespace

// Of the calling thread, innermost first: the number of rows, of at most `most`; -1: broken, -2: too deep,
// -3: it has no thread state, -4: no such version, -5: a frame's names can't be read.
extern "C" __attribute__((visibility("default"))) int siprof_test_walk(unsigned version, Row* rows,
                                                                       int most) {
  const PythonLayout* layout = client::find_layout(static_cast<std::uint16_t>(version));
  if (layout == nullptr) return -4;
  const auto this_thread_state =
      reinterpret_cast<void* (*)()>(dlsym(RTLD_DEFAULT, "PyGILState_GetThisThreadState"));
  const void* state = this_thread_state();
  if (state == nullptr) return -3;
  std::vector<shim::PythonFrame> frames(static_cast<std::size_t>(most));
  const shim::PythonWalkResult walked = shim::python_walk(
      *layout, reinterpret_cast<std::uint64_t>(dlsym(RTLD_DEFAULT, "PyCode_Type")),
      reinterpret_cast<std::uint64_t>(state), frames.data(), static_cast<std::uint32_t>(most));
  if (walked.end != shim::PythonWalkEnd::kComplete)
    return walked.end == shim::PythonWalkEnd::kBroken ? -1 : -2;
  for (std::uint32_t i = 0; i < walked.frames; ++i) {
    if (!fill(*layout, frames[i], &rows[i])) return -5;
  }
  return static_cast<int>(walked.frames);
}

// How often the evaluation function is on the calling thread's stack.
extern "C" __attribute__((visibility("default"))) unsigned siprof_test_evaluations() {
  Dl_info info;
  ElfW(Sym)* symbol = nullptr;
  void* const function = dlsym(RTLD_DEFAULT, "_PyEval_EvalFrameDefault");
  if (dladdr1(function, &info, reinterpret_cast<void**>(&symbol), RTLD_DL_SYMENT) == 0 || symbol == nullptr)
    return 0;
  Evaluations evaluations{reinterpret_cast<std::uint64_t>(function), symbol->st_size, 0};
  _Unwind_Backtrace(count_evaluation, &evaluations);
  return evaluations.count;
}
