// SPDX-License-Identifier: Apache-2.0
// Metrics as they are sent (proto/siprof/v1/collector.proto).
#pragma once

#include <cstddef>
#include <vector>

#include "collector-client/metrics/metric.h"
#include "collector.pb.h"

namespace siprof::client {

// Of one message: a collector takes 4 MiB.
inline constexpr std::size_t kMostMessagePoints = 20'000;
inline constexpr std::size_t kMostMessageBytes = 4'000'000;

// One message, several if they are many points. None for none.
std::vector<v1::AgentMessage> metric_messages(const FinishedMetrics& metrics);

}  // namespace siprof::client
