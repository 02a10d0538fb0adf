// SPDX-License-Identifier: Apache-2.0
// Options as the exporters want them.
#pragma once

#include "collector-client/cli/options.h"
#include "collector-client/export/settings.h"

namespace siprof::client {

enum class Output { kByWindow, kMerged };  // the agent's, and that of `record`

ExporterSettings exporter_settings(const Options& options, Output output);

// This machine's name; "unknown" if it has none.
std::string host_name();

}  // namespace siprof::client
