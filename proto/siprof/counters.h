// SPDX-License-Identifier: Apache-2.0
// Names of a profile's counters (docs/wire-format.md), as both the agent and the
// collector read them: to add up profiles, and to write the counters into a pprof
// file as comments "siprof.NAME=VALUE".
#pragma once

namespace siprof {

inline constexpr char kCounterCommentPrefix[] = "siprof.";

// A counter whose name ends so is a level (a rate in force, a size): of several
// profiles the latest one's counts. All others are sums.
inline constexpr const char* kLevelCounterUnits[] = {"_hz",       "_interval_bytes", "_interval_ns",
                                                     "_permille", "_rss_bytes",      "error_interval"};

}  // namespace siprof
