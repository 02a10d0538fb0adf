// SPDX-License-Identifier: Apache-2.0
// The tiers a store keeps and for how long: `--retention 10s=48h,1m=14d`.
// Called at start by main and by the HTTP parameters for the finest step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace siprof::collector {

struct Tier {
  std::string name;  // also its folder in the store
  std::int64_t step_ns = 0;
  std::int64_t keep_ns = 0;
};

// The finest tier: what agents send is written into it.
inline constexpr std::int64_t kFinestStepNs = 10'000'000'000;

// 10s=48h,1m=14d,10m=90d,1h=2y
std::vector<Tier> default_tiers();

// Defaults with the tiers of `text` replaced. Units s, m, h, d, y.
// Errors: INVALID_ARGUMENT, a line that says what to write.
absl::StatusOr<std::vector<Tier>> parse_retention(absl::string_view text);

// "48h" in nanoseconds; also used for relative times (`now-15m`).
absl::StatusOr<std::int64_t> parse_duration_ns(absl::string_view text);

}  // namespace siprof::collector
