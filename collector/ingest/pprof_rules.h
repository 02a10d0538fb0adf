// SPDX-License-Identifier: Apache-2.0
// The rules a parsed pprof has to keep so that the store and every reader may index
// its tables blindly: ids equal index + 1, references in range, one value per type.
// Called by pprof_reader after the scan (which has bounded counts and checked text).
#pragma once

#include "absl/status/status.h"
#include "collector/ingest/pprof_limits.h"
#include "profile.pb.h"

namespace siprof::collector {

// Errors: INVALID_ARGUMENT (a rule), RESOURCE_EXHAUSTED (a name too long); one line with the index at fault.
absl::Status check_rules(const perftools::profiles::Profile& profile, const PprofLimits& limits);

}  // namespace siprof::collector
