// SPDX-License-Identifier: Apache-2.0
// Finds the next definition of a symbol after this library in the loader's list,
// as dlsym(RTLD_NEXT) does, without its lock, its error strings or its malloc.
#pragma once

namespace siprof::shim {

// The address of `name`'s default version (or only one) in the first module after
// this one that defines it, null if none does. Context: any thread. What is loaded at
// start is never unloaded and comes first in the list, which is where libc's symbols
// are found, so a dlclose elsewhere doesn't matter.
void* next_definition(const char* name);

// False: the loader brought nothing but the preload into the process. Context: constructor.
bool program_needs_libraries();

}  // namespace siprof::shim
