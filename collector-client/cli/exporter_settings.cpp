// SPDX-License-Identifier: Apache-2.0
// Copies what exporters need out of the options.
#include "collector-client/cli/exporter_settings.h"

#include <limits.h>
#include <unistd.h>

namespace siprof::client {

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = {};
  return ::gethostname(name, sizeof name - 1) == 0 && name[0] != '\0' ? name : "unknown";
}

ExporterSettings exporter_settings(const Options& options, Output output) {
  ExporterSettings settings;
  settings.stream.collector = options.collector;
  settings.stream.token = options.token;
  settings.stream.token_file = options.token_file;
  settings.stream.tls = {options.tls_ca, options.tls_cert, options.tls_key};
  settings.stream.spool = options.spool;
  settings.stream.spool_bytes = options.spool_bytes;
  settings.stream.host_name = host_name();
  settings.folder.folder = options.output;
  settings.folder.merged = output == Output::kMerged;
  settings.folder.kinds = options.kinds;
  return settings;
}

}  // namespace siprof::client
