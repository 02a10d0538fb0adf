// SPDX-License-Identifier: Apache-2.0
// Profiles to a collector, by way of the spool.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "collector-client/export/exporter.h"
#include "collector-client/export/settings.h"

namespace siprof::client {

// Connects in the background and again, with back-off, whenever it breaks.
// Destroying it ends promptly; what wasn't acknowledged stays in the spool.
// Errors: a bad address, TLS file, token or spool folder.
absl::StatusOr<std::unique_ptr<Exporter>> make_stream_exporter(const StreamSettings& settings,
                                                               ConfigurationSink on_configuration);

}  // namespace siprof::client
