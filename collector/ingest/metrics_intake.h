// SPDX-License-Identifier: Apache-2.0
// One v1.Metrics of a stream -> what the store takes, everything checked.
// Any thread; no state. Hostile input; fuzzed by test/fuzz/metrics_intake_fuzz.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "collector.pb.h"
#include "collector/ingest/pprof_limits.h"
#include "collector/store/store.h"

namespace siprof::collector {

inline constexpr std::size_t kMaxMetricsBytes = 4U << 20;  // of a message
inline constexpr int kMaxMetricPoints = 20'000;

// `limits` says how old and how new they may be. Errors as take_in() of a profile: INVALID_ARGUMENT,
// OUT_OF_RANGE (times), RESOURCE_EXHAUSTED (too large); the message is the reason that the agent is told.
absl::StatusOr<IncomingMetrics> take_in(const v1::Metrics& message, const std::string& agent_id,
                                        const PprofLimits& limits, absl::Time now);

// The sequence number of metrics in a v1::AgentMessage that protobuf doesn't take, because a text in it isn't
// UTF-8: refused by its number it is done with, while a stream that ends would bring it again for ever.
// Unset: no metrics, or the bytes are broken besides.
std::optional<std::uint64_t> sequence_of_metrics(std::string_view message);

}  // namespace siprof::collector
