// SPDX-License-Identifier: Apache-2.0
// Errors: one event where each exception is thrown or raised. What an event holds is in shared_memory.h
// beside kErrorThrown.
#pragma once

#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/core/python_walk.h"

namespace siprof::shim {

// A throw of `object`, of this type (a std::type_info; null: not known), begins. Context: any thread; on top
// of the stack that throws.
void note_throw(const void* type, const void* object);
// The last exception of this thread has found no handler: the program ends.
void note_unhandled();
// An exception that was caught is thrown on: counted as such, it has its event already.
void note_rethrow();

// What is told of one of another language.
struct ErrorFacts {
  ErrorLanguage language;
  bool is_unhandled;
  std::uint64_t identity;    // kErrorIdentity
  const char* type;          // as it is to be shown
  const char* message;       // null: none
  const PythonTrace* trace;  // null: it is raised here
};

// Counts one more. How many the stack to be taken now stands for, 0: none is taken. For both the kind is on.
// Context: any thread.
std::uint32_t count_error(Counter counter);
// Takes the stack that stands for so many. False: it is lost. Context: any thread, on top of the stack.
bool take_error(const ErrorFacts& facts, std::uint32_t weight);
// One that was told of has found no handler. Context: any thread.
void note_unhandled(ErrorLanguage language, std::uint64_t identity);

}  // namespace siprof::shim
