// SPDX-License-Identifier: Apache-2.0
// What holds for the attributes and the window of everything that agents send: profiles and runtime metrics.
// Any thread; no state.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/map.h"

namespace siprof::collector {

inline constexpr absl::Duration kMaxWindow = absl::Hours(24);

// INVALID_ARGUMENT, the reason that the agent is told.
absl::Status check_attributes(const google::protobuf::Map<std::string, std::string>& attributes);

}  // namespace siprof::collector
