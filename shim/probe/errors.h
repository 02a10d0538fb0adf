// SPDX-License-Identifier: Apache-2.0
// C++ exceptions: one event where each is thrown. What an event holds is in shared_memory.h beside
// kErrorThrown.
#pragma once

namespace siprof::shim {

// A throw of `object`, of this type (a std::type_info; null: not known), begins. Context: any thread; on top
// of the stack that throws.
void note_throw(const void* type, const void* object);
// The last exception of this thread has found no handler: the program ends.
void note_unhandled();
// An exception that was caught is thrown on: counted as such, it has its event already.
void note_rethrow();

}  // namespace siprof::shim
