// SPDX-License-Identifier: Apache-2.0
// One v1.Profile of a stream -> what the store takes, everything checked.
// Any thread; no state.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "collector.pb.h"
#include "collector/ingest/pprof_limits.h"
#include "collector/store/store.h"

namespace siprof::collector {

// Errors as read_pprof's; the message is the reason that the agent is told.
absl::StatusOr<IncomingProfile> take_in(const v1::Profile& message, const std::string& agent_id,
                                        const PprofLimits& limits, absl::Time now);

// A few fixed words for a counter's label, from an error of the above or of metrics_intake.h.
std::string_view refusal_class(const absl::Status& status);

}  // namespace siprof::collector
