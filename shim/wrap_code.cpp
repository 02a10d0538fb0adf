// SPDX-License-Identifier: Apache-2.0
// Wrappers of calls that unmap code: until the agent has seen the new mappings nobody walks by what it says.
// dlopen isn't wrapped: it looks at who calls it (RUNPATH), and new code has no table to be wrong about.
#include "shim/core/tables.h"
#include "shim/real.h"

using namespace siprof;
using namespace siprof::shim;

int siprof_dlclose(void* handle) {
  note_unmap();
  const int result = real::dlclose(handle);
  note_unmap();
  return result;
}
