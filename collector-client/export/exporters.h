// SPDX-License-Identifier: Apache-2.0
// The table of exporters: a new way out is one new file and one row here.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "collector-client/export/exporter.h"
#include "collector-client/export/settings.h"

namespace siprof::client {

// Started and ready to take profiles. `on_configuration` may be empty.
// Errors: a folder that cannot be written, an address or key that cannot be
// used; one line that says what to change.
absl::StatusOr<std::unique_ptr<Exporter>> make_exporter(const ExporterSettings& settings,
                                                        ConfigurationSink on_configuration);

}  // namespace siprof::client
