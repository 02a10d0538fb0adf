// SPDX-License-Identifier: Apache-2.0
// Runtime metrics for the load generator, as an agent sends them of a window of some processes.
#pragma once

#include "absl/time/time.h"
#include "collector.pb.h"

namespace siprof::bench {

// Without a sequence number and attributes. `seed` decides the values; they drift with `end`.
v1::Metrics make_metrics(int seed, int processes, absl::Time end, absl::Duration window);

}  // namespace siprof::bench
