// SPDX-License-Identifier: Apache-2.0
// How to get from a frame to its caller, per code address: elfutils reads the file's
// .eh_frame or .debug_frame, this keeps the answer in 40 bytes. Used by the unwinder.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "collector-client/base/module.h"

namespace siprof::client {

// The caller's callee-saved registers, in this order, are at these distances from the CFA.
inline constexpr std::int32_t kUnchanged = INT32_MIN;
inline constexpr std::size_t kSavedRegisters = 6;  // rbx rbp r12 r13 r14 r15

struct FrameRule {
  enum class Kind : std::uint8_t {
    kNone,        // no table covers the address
    kPlain,       // CFA = register + offset; ret at cfa + return_offset
    kExpression,  // DWARF expressions: libunwind evaluates them
    kOutermost,   // the table says that there is no caller
  };
  Kind kind = Kind::kNone;
  bool signal_frame = false;      // a trampoline: the caller was interrupted, not calling
  std::uint8_t cfa_register = 0;  // Register
  std::int32_t cfa_offset = 0;
  std::int32_t return_offset = 0;
  std::int32_t saved[kSavedRegisters] = {kUnchanged, kUnchanged, kUnchanged,
                                         kUnchanged, kUnchanged, kUnchanged};
};

class CfiReader;

class FrameRulesCache {
 public:
  FrameRulesCache();
  ~FrameRulesCache();

  // The rule at an address of the module's file; computed once. Stays valid until the next call.
  const FrameRule& find(const CodeAddress& address);

  // Files that had neither .eh_frame nor .debug_frame, or whose could not be read.
  std::uint64_t modules_without_tables() const { return modules_without_tables_; }

  // Lets go of the tables of images that the module cache has closed.
  void trim();
  // Before ModuleCache::evict().
  void forget(const absl::flat_hash_set<const Module*>& modules);

 private:
  FrameRule compute(const CodeAddress& address);

  absl::flat_hash_map<CodeAddress, FrameRule> rules_;
  absl::flat_hash_map<const Module*, std::unique_ptr<CfiReader>> tables_;
  std::uint64_t modules_without_tables_ = 0;
};

}  // namespace siprof::client
