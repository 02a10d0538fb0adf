// SPDX-License-Identifier: Apache-2.0
#include "shim/real.h"

namespace siprof::real {

#define SIPROF_INTERPOSE(name, result, parameters) constinit Next<result parameters, text::name> name;
#define SIPROF_INTERPOSE_VERSION(own, symbol, at, version, result, parameters) \
  constinit Next<result parameters, text::own, text::version_of_##own> own;
#define SIPROF_INTERPOSE_OWN(name, result, parameters)
#include "shim/interposed.def"
#undef SIPROF_INTERPOSE_VERSION
#undef SIPROF_INTERPOSE
#undef SIPROF_INTERPOSE_OWN

}  // namespace siprof::real
