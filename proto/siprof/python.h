// SPDX-License-Identifier: Apache-2.0
// How a process's Python frames reach the agent (docs/wire-format.md, "Python").
//
// The agent finds the interpreter among the process's modules and tells the shim where it is and how its
// structures are laid out (PythonView, in SharedHeader). A handler walks the frames of its own thread and
// appends a word for each to the sample; what a word's mark means comes once in kPythonCode records. Both
// sides treat the other's bytes as hostile: the shim by guarded loads, the agent by checks of copies.
#pragma once

#include <atomic>
#include <cstdint>

namespace siprof {

// An offset that a version doesn't have.
inline constexpr std::uint16_t kNoOffset = 0xffff;

// How a frame says which instruction it executes.
enum class PythonInstruction : std::uint16_t {
  kLastBytes,  // int32, in bytes: 3.8, 3.9
  kLastWords,  // int32, in words of 2 bytes: 3.10
  kPointer,    // address within the code object: 3.11 and later
};

// How the outermost frame of one call of the evaluation function is known.
enum class PythonEntry : std::uint16_t {
  kEveryFrame,  // one call a frame: 3.8 to 3.10
  kFlag,        // `entry` is a byte, not 0 in the outermost: 3.11
  kShim,  // `entry` is the owner byte, kShimOwner and above: a frame of no code that ends it: 3.12 and later
};
inline constexpr std::uint8_t kPythonShimOwner = 3;

// One minor version's; offsets in bytes. Tables: collector-client/python/layouts.cpp.
struct PythonLayout {
  std::uint16_t version;  // 0x0308 is 3.8
  PythonInstruction instruction_kind;
  PythonEntry entry_kind;
  // PyThreadState
  std::uint16_t top_frame;       // the innermost frame, or where cframe is (3.11, 3.12)
  std::uint16_t cframe_current;  // in the _PyCFrame that top_frame points to; kNoOffset: it points to a frame
  std::uint16_t cframe_previous;
  std::uint16_t thread_id;         // pthread_t
  std::uint16_t native_thread_id;  // kNoOffset before 3.11
  std::uint16_t
      status;  // a word of bits, of which the mask status_attached: holds the GIL; kNoOffset before 3.12
  std::uint16_t status_attached;
  // A frame
  std::uint16_t code;      // of an object of code; its low three bits are tags
  std::uint16_t previous;  // towards the outermost
  std::uint16_t instruction;
  std::uint16_t entry;
  // PyCodeObject
  std::uint16_t code_bytes;  // sizeof, where kPointer counts from; also checked against tp_basicsize
  std::uint16_t file_name;
  std::uint16_t name;  // the qualified one where there is one
  std::uint16_t plain_name;
  std::uint16_t line_table;
  std::uint16_t first_line;
  std::uint16_t flags;
  // str: where characters are after the header of a compact one, ASCII or not.
  std::uint16_t ascii_data;
  std::uint16_t compact_data;
};

// Why the shim doesn't walk what the agent has shown it.
enum class PythonRefusal : std::uint32_t {
  kNone = 0,
  kUnreadable,   // the code type can't be read
  kOtherLayout,  // the code type's own description differs from the layout
  kNoGuard,      // the app has SIGSEGV or SIGBUS to itself: an unreadable address would end it
};

inline constexpr std::uint32_t kInheritedPython = ~0u;

struct PythonView {
  // 0: no interpreter known, or one that is gone again. Written by the agent: release after the rest, which
  // doesn't change while it is not 0; acquire in the app, which reads it again after it has copied the rest.
  // Another number each time, after which the process tells all of its marks anew. In memory that no agent
  // has seen yet the child of a fork writes what its parent had, as kInheritedPython.
  std::atomic<std::uint32_t> generation;
  // SharedHeader::unmaps_begun as of the mappings in which the interpreter was found, or kUnmapping. Written
  // by the agent at any time: release; acquire in the app, which calls nothing of the below while it differs.
  std::atomic<std::uint32_t> unmap_generation;
  std::uint64_t this_thread_state;  // PyGILState_GetThisThreadState
  std::uint64_t current_state;      // _PyThreadState_UncheckedGet, where `status` is not to be had; else 0
  std::uint64_t is_finalizing;      // _Py_IsFinalizing or Py_IsFinalizing
  std::uint64_t code_type;          // PyCode_Type
  PythonLayout layout;
  // Written by the app; relaxed, only shown: a PythonRefusal.
  std::atomic<std::uint32_t> refusal;
};

// A frame's word: mark << 22 | instruction << 2 | kPythonSegmentEnd. A mark is a hash of what a code object
// says of itself, never 0; an address alone names another function once it is freed. Innermost first.
inline constexpr std::uint32_t kPythonMarkBits = 42;
inline constexpr std::uint32_t kPythonMarkShift = 22;
inline constexpr std::uint32_t kPythonInstructionShift = 2;
inline constexpr std::uint32_t kPythonNoInstruction = (1u << 20) - 1;  // not started, or out of bounds
inline constexpr std::uint64_t kPythonSegmentEnd =
    1;  // the outermost frame of a call of the evaluation function
constexpr std::uint64_t python_mark(std::uint64_t word) {
  return word >> kPythonMarkShift;
}
// In words of 2 bytes since the beginning of the bytecode.
constexpr std::uint32_t python_instruction(std::uint64_t word) {
  return static_cast<std::uint32_t>(word >> kPythonInstructionShift) & kPythonNoInstruction;
}
constexpr std::uint64_t python_word(std::uint64_t mark, std::uint32_t instruction, bool segment_end) {
  const std::uint32_t bounded = instruction < kPythonNoInstruction ? instruction : kPythonNoInstruction;
  return mark << kPythonMarkShift | std::uint64_t{bounded} << kPythonInstructionShift |
         (segment_end ? kPythonSegmentEnd : 0);
}
inline constexpr std::uint32_t kMaxPythonFrames = 192;

// What a mark means: after these fields the name and the file's name in UTF-8, each with a zero at its end,
// and a part of the line table. A table that doesn't fit comes in several records, each with all but the
// table repeated. It is written before the first sample that has the mark, to any thread's chain.
inline constexpr std::uint32_t kMaxPythonName = 256;  // with the zero, as the next one
inline constexpr std::uint32_t kMaxPythonFile = 1024;
inline constexpr std::uint32_t kMaxPythonLineTable = 65536;
struct PythonCodeFields {
  std::uint64_t mark;
  std::uint32_t first_line;
  std::uint32_t flags;       // co_flags
  std::uint16_t name_bytes;  // with the zero
  std::uint16_t file_bytes;  // with the zero
  std::uint16_t version;     // PythonLayout::version
  std::uint16_t pad;
  std::uint32_t table_bytes;  // of the whole table, at most kMaxPythonLineTable; 0: none, or too long
  std::uint32_t part_start;   // of the part in this record
  std::uint32_t part_bytes;
  std::uint32_t pad2;
};
static_assert(sizeof(PythonCodeFields) == 40);

}  // namespace siprof
