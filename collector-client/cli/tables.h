// SPDX-License-Identifier: Apache-2.0
// Answers of the collector's HTTP API as tables for people.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace siprof::client {

// Of /api/v1/services and /api/v1/top. Errors: DATA_LOSS for what isn't that answer.
absl::StatusOr<std::string> services_table(std::string_view json);
absl::StatusOr<std::string> top_table(std::string_view json);

}  // namespace siprof::client
