// SPDX-License-Identifier: Apache-2.0
// Values as people write them: 10s, 256MiB, 1%. Errors are INVALID_ARGUMENT and
// say what to write; the caller names the option.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace siprof::client {

// "250ms", "10s", "1m", "1h", "500us"; a bare number is refused.
absl::StatusOr<absl::Duration> parse_duration(std::string_view text);
// "268435456", "256MiB", "256M" (both 2^20), "1GiB", "64KiB".
absl::StatusOr<std::uint64_t> parse_bytes(std::string_view text);
// "1%", "0.5%"; "off" is none.
absl::StatusOr<std::optional<double>> parse_share(std::string_view text);
absl::StatusOr<std::uint64_t> parse_count(std::string_view text, std::uint64_t min, std::uint64_t max);
// "1", "true", "on", "yes" and their opposites, in any case of letters, as shim/core/config.cpp reads them.
absl::StatusOr<bool> parse_switch(std::string_view text);

}  // namespace siprof::client
