// SPDX-License-Identifier: Apache-2.0
// When windows are cut: at multiples of their length, so that those of different
// agents cover the same time, shifted by the phase the collector gave to this one.
#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace siprof::client {

// The first cut after `now`. `phase` in [0, 1) of a window.
inline absl::Time next_window_start(absl::Time now, absl::Duration window, double phase) {
  const absl::Duration shift = window * std::clamp(phase, 0.0, 0.999);
  const absl::Duration since_epoch = now - absl::UnixEpoch() - shift;
  return absl::UnixEpoch() + shift + absl::Floor(since_epoch, window) + window;
}

}  // namespace siprof::client
