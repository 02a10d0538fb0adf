// SPDX-License-Identifier: Apache-2.0
// Finds the next definition of a symbol after this library in the loader's list,
// as dlsym(RTLD_NEXT) does, without its lock, its error strings or its malloc.
#pragma once

#include <cstdint>

namespace siprof::shim {

// The address of `name`'s default version (or only one), or of the `version` asked for, in the first module
// after this one that defines it, null if none does. A module that has no versions defines all of them.
// Context: any thread. What is loaded at start is never unloaded and comes first in the list, which is where
// libc's symbols are found, so a dlclose elsewhere doesn't matter.
void* next_definition(const char* name, const char* version = nullptr);

// The same, and the module that it is in (to be compared only). Null, null: there is none.
struct Definition {
  void* address;
  const void* module;
};
Definition find_next(const char* name, const char* version = nullptr);

// The same after modules have been opened and closed, when the list may be changing: takes the loader's lock
// for it. Context: any thread, not in a signal handler.
Definition find_next_locked(const char* name);

// The same among what lies before libc in the list, libc included: nothing of it is ever unloaded or moved,
// so that no lock is needed and the answer is right for good. Null, null: it isn't there, or libc isn't.
// Context: any thread.
Definition find_next_for_good(const char* name);

// The first one before this library: the program's or another preload's. Context: any thread.
Definition find_before(const char* name);

// Of a module as these name them (a link_map of the loader's): what it defines, null if it doesn't.
void* definition_of(const void* module, const char* name);
bool is_program(const void* module);
// Where the loader looks up the symbol's address; null if the module doesn't define it.
const unsigned long* value_of_symbol(const void* module, const char* name);
// What a module defines that is loaded at `bias`, with its dynamic section at `dynamic`.
void* defined_in(std::uint64_t bias, const void* dynamic, const char* name, const char* version = nullptr);
// The same of a variable.
void* variable_in(std::uint64_t bias, const void* dynamic, const char* name);

// In the loader's list. Context: constructor.
std::uint32_t count_modules();
// Each of the first `count`, as defined_in() takes it, until `take` says true. Those that the program started
// with are never unloaded, so that it needs no lock for them. Context: any thread.
bool find_module(std::uint32_t count, bool (*take)(std::uint64_t bias, const void* dynamic));

// False: the loader brought nothing but the preload into the process. Context: constructor.
bool program_needs_libraries();

}  // namespace siprof::shim
