// SPDX-License-Identifier: Apache-2.0
// Profiles into a folder: `--output DIR` writes one file per service, kind and
// window as they come; `record` one merged file per kind at the end.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "collector-client/export/exporter.h"
#include "collector-client/export/settings.h"

namespace siprof::client {

// <folder>/<service>/<kind>-<unix start>.pb.gz, each written as it is submitted; metrics likewise as
// metrics-<unix start>.json.
// Errors: a folder that cannot be made or written.
absl::StatusOr<std::unique_ptr<Exporter>> make_folder_exporter(const FolderSettings& settings);

// <folder>/<kind>.pb.gz for each of `kinds`, valid also where nothing was
// recorded, and metrics.json with counters and metrics; written at flush, which may be called again.
// Files of these names of an earlier run are removed at once.
absl::StatusOr<std::unique_ptr<Exporter>> make_record_exporter(const FolderSettings& settings);

}  // namespace siprof::client
