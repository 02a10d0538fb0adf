// SPDX-License-Identifier: Apache-2.0
// Where objects of a CPython without Py_TRACE_REFS and with the GIL have what is the same in all versions
// that layouts exist for. Loads are guarded. Context: signal handler, any thread.
#pragma once

#include <cstdint>

#include "shim/base/attrs.h"
#include "shim/base/guarded.h"

namespace siprof::shim {

// PyObject, PyVarObject
inline constexpr std::uint64_t kObjectType = 8;
inline constexpr std::uint64_t kObjectSize = 16;
// PyBytesObject
inline constexpr std::uint64_t kBytesData = 32;
// PyASCIIObject
inline constexpr std::uint64_t kTextLength = 16;
inline constexpr std::uint64_t kTextHash = 24;
inline constexpr std::uint64_t kTextState = 32;
// PyTypeObject
inline constexpr std::uint64_t kTypeBasicSize = 32;
inline constexpr std::uint64_t kTypeFlags = 168;
inline constexpr std::uint64_t kTypeMembers = 240;
inline constexpr std::uint64_t kIsBytes = 1u << 27;
inline constexpr std::uint64_t kIsText = 1u << 28;
// PyTracebackObject
inline constexpr std::uint64_t kTracebackFrame = 24;
inline constexpr std::uint64_t kTracebackInstruction = 32;  // an int, in bytes
// PyFrameObject of 3.8
inline constexpr std::uint64_t kFrameCode38 = 32;
// PyMemberDef
inline constexpr std::uint64_t kMemberBytes = 40;
inline constexpr std::uint64_t kMemberName = 0;
inline constexpr std::uint64_t kMemberOffset = 16;

// Whether `object` is one of a type with one of these flags.
__attribute__((always_inline)) inline bool is_of_kind(std::uint64_t object, std::uint64_t flag) {
  std::uint64_t type = 0;
  std::uint64_t flags = 0;
  return may_be_object(object) && load_word(object + kObjectType, &type) && may_be_object(type) &&
         load_word(type + kTypeFlags, &flags) && (flags & flag) != 0;
}

}  // namespace siprof::shim
