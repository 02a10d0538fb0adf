// SPDX-License-Identifier: Apache-2.0
// A valid profile and valid metrics to start from: for the ingest tests and the fuzzer.
#pragma once

#include <cstdint>
#include <string>

#include "collector.pb.h"
#include "profile.pb.h"

namespace siprof::collector {

// A CPU profile of ten seconds ago with a mapping, lines, labels and a comment.
perftools::profiles::Profile sample_pprof();

// Memory and CPU time of two processes in the ten seconds before.
v1::Metrics sample_metrics(std::uint64_t sequence);

std::string gzip(const std::string& bytes);

}  // namespace siprof::collector
