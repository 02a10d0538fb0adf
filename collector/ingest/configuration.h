// SPDX-License-Identifier: Apache-2.0
// --config FILE: what is measured, by service, as JSON. Parsed here, pushed to every
// agent by the streams.
//
//   {"phase_spread": true, "min_send_interval": "0s",
//    "services": [{"service": "api", "kinds": "cpu,heap", "hz": 200}, {"service": "*", "budget": "0.5%"}]}
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "collector.pb.h"

namespace siprof::collector {

struct FleetConfiguration {
  bool phase_spread = true;  // each agent gets its own share of the window
  v1::Configuration shared;  // without phase; the generation only rises, over restarts too
};

// Errors: INVALID_ARGUMENT, one line naming the key ("services[1].hz: …").
absl::StatusOr<FleetConfiguration> parse_configuration(std::string_view json);

// The same from a file, its path in front of the error.
absl::StatusOr<FleetConfiguration> read_configuration(const std::string& path);

// What one agent is sent. `agent_id`: 32 hex digits; they are random, so they spread evenly.
v1::Configuration configuration_for(const FleetConfiguration& fleet, std::string_view agent_id);

}  // namespace siprof::collector
