// SPDX-License-Identifier: Apache-2.0
#include "collector-client/agent/window_schedule.h"

#include <catch2/catch.hpp>

namespace siprof::client {
namespace {

absl::Time at(double seconds) {
  return absl::UnixEpoch() + absl::Seconds(seconds);
}

TEST_CASE("windows are cut at multiples of their length") {
  const absl::Duration window = absl::Seconds(10);
  CHECK(next_window_start(at(1000.5), window, 0) == at(1010));
  CHECK(next_window_start(at(1009.999), window, 0) == at(1010));
  CHECK(next_window_start(at(1010), window, 0) == at(1020));  // after, not at
  CHECK(next_window_start(at(1000.7), absl::Milliseconds(250), 0) == at(1000.75));
}

TEST_CASE("a phase shifts all cuts by a part of the window") {
  const absl::Duration window = absl::Seconds(10);
  CHECK(next_window_start(at(1001), window, 0.25) == at(1002.5));
  CHECK(next_window_start(at(1003), window, 0.25) == at(1012.5));
  CHECK(next_window_start(at(1003), window, -3) == at(1010));
  // Beyond one it would be a later window's cut: held just below.
  const absl::Time late = next_window_start(at(1003), window, 7);
  CHECK(late > at(1009));
  CHECK(late < at(1010));
}

TEST_CASE("the next cut is never further away than a window, nor now or before") {
  for (double now = 0.1; now < 40; now += 0.37) {
    const absl::Duration ahead = next_window_start(at(now), absl::Seconds(7), 0.4) - at(now);
    CHECK(ahead > absl::ZeroDuration());
    CHECK(ahead <= absl::Seconds(7));
  }
}

}  // namespace
}  // namespace siprof::client
