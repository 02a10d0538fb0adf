// SPDX-License-Identifier: Apache-2.0
#include "shim/core/python_check.h"

#include "shim/base/guarded.h"
#include "shim/core/python_objects.h"

namespace siprof::shim {
namespace {

// The members that the layout has something to say of. The line table is one in all versions, the qualified
// name where there is one; 3.8 and 3.9 call the table otherwise.
enum Member : std::uint32_t {
  kFileName,
  kName,
  kFirstLine,
  kFlags,
  kLineTable,
  kOldLineTable,
  kQualified,
  kMembers
};
constexpr std::uint32_t kLongestName = 16;
constexpr char kNames[kMembers][kLongestName] = {"co_filename",  "co_name",   "co_firstlineno", "co_flags",
                                                 "co_linetable", "co_lnotab", "co_qualname"};

// kMembers: none of them.
SIPROF_SIGNAL_SAFE std::uint32_t member_called(std::uint64_t name) {
  char text[kLongestName] = {};
  GuardedBytes bytes(name);
  for (std::uint32_t i = 0; i < kLongestName; ++i) {
    std::uint8_t byte = 0;
    if (!bytes.next(&byte)) return kMembers;
    text[i] = static_cast<char>(byte);
    if (byte == 0) break;
  }
  for (std::uint32_t member = 0; member < kMembers; ++member) {
    bool same = true;
    for (std::uint32_t i = 0; i < kLongestName && same; ++i) same = text[i] == kNames[member][i];
    if (same) return member;
  }
  return kMembers;
}

SIPROF_SIGNAL_SAFE bool read_members(std::uint64_t members, std::uint64_t (&offsets)[kMembers]) {
  constexpr std::uint32_t kMostMembers = 64;
  for (std::uint32_t i = 0; i < kMostMembers; ++i) {
    const std::uint64_t at = members + i * kMemberBytes;
    std::uint64_t name = 0;
    std::uint64_t offset = 0;
    if (!load_word(at + kMemberName, &name) || !load_word(at + kMemberOffset, &offset)) return false;
    if (name == 0) return true;
    const std::uint32_t member = member_called(name);
    if (member != kMembers) offsets[member] = offset;
  }
  return false;
}

constexpr bool is_word(std::uint16_t offset) {
  return offset % 8 == 0;
}

// Offsets that no load of ours could use.
SIPROF_SIGNAL_SAFE bool is_usable(const PythonLayout& layout) {
  const bool has_cframe = layout.cframe_current != kNoOffset;
  return layout.instruction_kind <= PythonInstruction::kPointer && layout.entry_kind <= PythonEntry::kShim &&
         is_word(layout.top_frame) &&
         (!has_cframe || (is_word(layout.cframe_current) && is_word(layout.cframe_previous))) &&
         is_word(layout.thread_id) && is_word(layout.code) && is_word(layout.previous) &&
         layout.instruction % 4 == 0 && is_word(layout.file_name) && is_word(layout.name) &&
         is_word(layout.plain_name) && is_word(layout.line_table) && layout.first_line % 4 == 0 &&
         layout.flags % 4 == 0;
}

}  // namespace

PythonRefusal check_code_type(const PythonLayout& layout, std::uint64_t code_type) {
  if (!is_usable(layout)) return PythonRefusal::kOtherLayout;
  std::uint64_t bytes = 0;
  std::uint64_t members = 0;
  if (!may_be_object(code_type) || !load_word(code_type + kTypeBasicSize, &bytes) ||
      !load_word(code_type + kTypeMembers, &members) || !may_be_object(members))
    return PythonRefusal::kUnreadable;
  constexpr std::uint64_t kNoMember = ~std::uint64_t{0};
  std::uint64_t offsets[kMembers];
  for (std::uint64_t& offset : offsets) offset = kNoMember;
  if (!read_members(members, offsets)) return PythonRefusal::kUnreadable;
  const std::uint64_t table = offsets[kLineTable] != kNoMember ? offsets[kLineTable] : offsets[kOldLineTable];
  const std::uint64_t name = offsets[kQualified] != kNoMember ? offsets[kQualified] : offsets[kName];
  const bool same = bytes == layout.code_bytes && offsets[kFileName] == layout.file_name &&
                    offsets[kName] == layout.plain_name && name == layout.name &&
                    table == layout.line_table && offsets[kFirstLine] == layout.first_line &&
                    offsets[kFlags] == layout.flags;
  return same ? PythonRefusal::kNone : PythonRefusal::kOtherLayout;
}

}  // namespace siprof::shim
