// SPDX-License-Identifier: Apache-2.0
// Merged stacks as a pprof profile again, for `go tool pprof` and other tools.
// Called by /api/v1/profile.
#pragma once

#include <string>

#include "collector/store/reader.h"
#include "profile.pb.h"

namespace siprof::collector {

// All types; ids are 1..N, frames leaf first. Sample labels aren't in the store,
// so the samples have none; symbolized locations have lines and no address.
// Counters become comments, as in the agent's own files (docs/wire-format.md).
perftools::profiles::Profile make_pprof(const MergedStacks& stacks, const std::string& default_type);

// Serialized and gzip-compressed.
std::string gzip_pprof(const perftools::profiles::Profile& profile);

}  // namespace siprof::collector
