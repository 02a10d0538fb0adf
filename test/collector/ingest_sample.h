// SPDX-License-Identifier: Apache-2.0
// A valid profile to start from: for the ingest tests and the fuzzer.
#pragma once

#include <string>

#include "profile.pb.h"

namespace siprof::collector {

// A CPU profile of ten seconds ago with a mapping, lines, labels and a comment.
perftools::profiles::Profile sample_pprof();

std::string gzip(const std::string& bytes);

}  // namespace siprof::collector
