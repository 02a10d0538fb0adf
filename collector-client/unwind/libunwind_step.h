// SPDX-License-Identifier: Apache-2.0
// One step from a frame to its caller by libunwind, out of an ELF file's .eh_frame and
// a stack copy. The unwinder uses it for frames whose rules are DWARF expressions (PLT
// stubs, signal trampolines, realigned stacks); tests use it as the oracle for all others.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "collector-client/symbolize/elf_image.h"
#include "collector-client/unwind/captured_stack.h"

namespace siprof::client {

// What an answer depends on besides the module, so that it may be kept: the same registers and words
// give the same one.
struct StepLog {
  std::uint32_t registers_read = 0;  // bit n: register n
  std::uint32_t registers_kept = 0;  // bit n: the caller's register n is this frame's
  std::vector<std::pair<std::uint64_t, std::uint64_t>> words;  // of the stack: address, value
};

struct StepInput {
  const ElfImage* image = nullptr;
  std::uint64_t bias = 0;                // process address - file address
  std::uint64_t lookup_address = 0;      // of the process: the pc, for return addresses one less
  const CapturedStack* stack = nullptr;  // memory; its registers are not used
  StepLog* log = nullptr;                // filled if there is one
};

enum class StepResult {
  kStepped,      // `registers` are the caller's
  kOutermost,    // there is no caller
  kBeyondStack,  // needs memory that is not in the copy
  kFailed,       // no table, or tables that make no sense
};

// `beyond` receives the address that was missing for kBeyondStack. `registers` change only
// with kStepped. Bounded in time whatever the tables say.
// The caller must know that the rules name no register above 16: libunwind 1.6 doesn't check that.
StepResult step_with_libunwind(const StepInput& input, Registers& registers, std::uint64_t& beyond);

}  // namespace siprof::client
