// SPDX-License-Identifier: Apache-2.0
// Wrappers of calls that unmap code: what the agent knows of the mappings is right for samples of before
// alone. dlopen isn't wrapped: it looks at who calls it (RUNPATH), and new code has no table to be wrong
// about.
#include "shim/core/guarded_slot.h"
#include "shim/core/unmaps.h"
#include "shim/real.h"

using namespace siprof;
using namespace siprof::shim;

int siprof_dlclose(void* handle) {
  begin_unmap();
  wait_for_slots();  // who looks at an interpreter calls into it
  const int result = real::dlclose(handle);
  end_unmap();
  return result;
}
