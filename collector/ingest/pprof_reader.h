// SPDX-License-Identifier: Apache-2.0
// Bytes of an agent, hostile until proven otherwise -> a profile that every later
// step may index without looking. Three steps: decompress, scan the wire format
// (counts and text, before memory is spent on objects), parse and check the rules
// that the strictest consumers of pprof keep (docs/wire-format.md).
//
// Context: any thread; no state.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "collector/ingest/pprof_limits.h"
#include "profile.pb.h"

namespace siprof::collector {

// `bytes` is gzip or raw protobuf.
// Errors, each one line saying what is wrong where: DATA_LOSS (not readable as gzip or protobuf),
// RESOURCE_EXHAUSTED (above a limit), OUT_OF_RANGE (too old, from the future), INVALID_ARGUMENT (breaks a
// rule).
absl::StatusOr<perftools::profiles::Profile> read_pprof(std::string_view bytes, const PprofLimits& limits,
                                                        absl::Time now);

// The same for a time that isn't in a pprof: `what` names it in the error.
absl::Status check_time(const char* what, absl::Time time, const PprofLimits& limits, absl::Time now);

}  // namespace siprof::collector
