// SPDX-License-Identifier: Apache-2.0
// gzip in memory, for profiles on disk and on the wire.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace siprof::client {

// The same bytes for the same input: the header carries no time and no name.
absl::StatusOr<std::string> gzip(std::string_view plain);

// Errors: INVALID_ARGUMENT for what isn't one complete gzip stream,
// RESOURCE_EXHAUSTED when it holds more than `max_bytes`.
absl::StatusOr<std::string> gunzip(std::string_view packed, std::size_t max_bytes);

}  // namespace siprof::client
