// SPDX-License-Identifier: Apache-2.0
// A time as requests write it: unix seconds (`1700000000`, `1700000000.5`),
// RFC 3339, `now`, `now-15m`.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace siprof::collector {

// Unix nanoseconds, from 1970 to 2200. Errors: INVALID_ARGUMENT, says what to write.
absl::StatusOr<std::int64_t> parse_time_ns(const std::string& text, std::int64_t now_ns);

}  // namespace siprof::collector
