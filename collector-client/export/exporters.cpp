// SPDX-License-Identifier: Apache-2.0
// Which exporter the settings ask for: the first row that wants to.
#include "collector-client/export/exporters.h"

#include "collector-client/export/file_exporter.h"
#include "collector-client/export/stream_exporter.h"

namespace siprof::client {
namespace {

struct Row {
  bool (*is_wanted)(const ExporterSettings& settings);
  absl::StatusOr<std::unique_ptr<Exporter>> (*make)(const ExporterSettings& settings, ConfigurationSink sink);
};

constexpr Row kExporters[] = {
    {[](const ExporterSettings& s) { return !s.folder.folder.empty() && s.folder.merged; },
     [](const ExporterSettings& s, ConfigurationSink) { return make_record_exporter(s.folder); }},
    {[](const ExporterSettings& s) { return !s.folder.folder.empty(); },
     [](const ExporterSettings& s, ConfigurationSink) { return make_folder_exporter(s.folder); }},
    {[](const ExporterSettings&) { return true; },
     [](const ExporterSettings& s, ConfigurationSink sink) {
       return make_stream_exporter(s.stream, std::move(sink));
     }},
};

}  // namespace

absl::StatusOr<std::unique_ptr<Exporter>> make_exporter(const ExporterSettings& settings,
                                                        ConfigurationSink on_configuration) {
  for (const Row& row : kExporters) {
    if (row.is_wanted(settings)) return row.make(settings, std::move(on_configuration));
  }
  return absl::InternalError("no exporter");
}

}  // namespace siprof::client
