// SPDX-License-Identifier: Apache-2.0
#include "shim/real.h"

namespace siprof::real {

#define SIPROF_INTERPOSE(name, result, parameters) constinit Next<result parameters> name(#name);
#include "shim/interposed.def"
#undef SIPROF_INTERPOSE

}  // namespace siprof::real
