// SPDX-License-Identifier: Apache-2.0
// A file's call-frame information as elfutils reads it, .eh_frame first, then .debug_frame. What both
// ways of unwinding are made of: rules per address (frame_rules.h) and compact tables (table_compiler.h).
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "collector-client/symbolize/elf_image.h"

namespace siprof::client {

// A register's rule in one frame, as dwarf_frame_register() tells it.
struct RegisterRule {
  enum class Kind {
    kUndefined,
    kSame,
    kAtCfa,    // at CFA + offset
    kCfaPlus,  // is CFA + offset
    kAtFp,     // at rbp + offset: gcc's frames with an alignment of their own
    kAtSp,     // at rsp + offset: signal trampolines
    kOther,
    kInvalid,
  } kind;
  std::int64_t offset = 0;
};
RegisterRule register_rule(Dwarf_Frame* frame, unsigned number);

struct CfaRule {
  enum class Kind {
    kRegister,    // register + offset
    kDeref,       // *(register + offset) + added
    kPlt,         // rsp + 8, or + 16 when rip & 15 >= offset: the linker's own stubs
    kExpression,  // any other
    kInvalid,
  } kind;
  unsigned number = 0;  // Register
  std::int64_t offset = 0;
  std::int64_t added = 0;
};
CfaRule cfa_rule(Dwarf_Frame* frame);

struct FreeFrame {
  void operator()(Dwarf_Frame* frame) const { std::free(frame); }
};
using FramePtr = std::unique_ptr<Dwarf_Frame, FreeFrame>;

// One thread.
class CfiReader {
 public:
  explicit CfiReader(std::shared_ptr<const ElfImage> image);
  ~CfiReader();
  CfiReader(const CfiReader&) = delete;
  CfiReader& operator=(const CfiReader&) = delete;

  // The row that holds at an address of the file's; null: no table covers it.
  FramePtr frame_at(std::uint64_t address) const;

  bool empty() const { return eh_frame_ == nullptr && debug_frame_ == nullptr; }
  const std::shared_ptr<const ElfImage>& image() const { return image_; }

 private:
  std::shared_ptr<const ElfImage> image_;
  Dwarf_CFI* eh_frame_ = nullptr;
  Dwarf* debug_ = nullptr;
  Dwarf_CFI* debug_frame_ = nullptr;  // ends with debug_
};

}  // namespace siprof::client
