// SPDX-License-Identifier: Apache-2.0
// The caller of a frame whose code has no unwind table: JIT code, assembly, old stubs.
// Every guess is checked: addresses lie in the copy, the result lies in code.
#pragma once

#include <cstdint>

#include "collector-client/unwind/captured_stack.h"
#include "collector-client/unwind/module_map.h"

namespace siprof::client {

enum class Guess {
  kCaller,       // `registers` are the caller's as far as they are known: rip, rsp, rbp
  kSignalFrame,  // a signal trampoline: `registers` are all those of the interrupted code
  kThreadStart,  // the frame pointer is 0: by the ABI the end of the chain
  kBeyondStack,  // a frame pointer that goes on above the copy
  kNone,
};

// `leaf`: rip is where the code was interrupted, so it may have no frame yet.
Guess guess_caller(const CapturedStack& stack, const ModuleMap& map, bool leaf, Registers& registers);

// False if the 8 bytes at `address` are not all in the copy.
bool read_word(const CapturedStack& stack, std::uint64_t address, std::uint64_t& value);

}  // namespace siprof::client
