// SPDX-License-Identifier: Apache-2.0
// First look at an untrusted pprof's wire format: how many of everything, and is
// the text UTF-8, before the parser makes an object of each. Called by pprof_reader.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "collector/ingest/pprof_limits.h"

namespace siprof::collector {

// Errors: DATA_LOSS (not protobuf), RESOURCE_EXHAUSTED (a limit), INVALID_ARGUMENT (text).
absl::Status scan_pprof(std::string_view raw, const PprofLimits& limits);

}  // namespace siprof::collector
