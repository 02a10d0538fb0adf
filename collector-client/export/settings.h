// SPDX-License-Identifier: Apache-2.0
// What an exporter has to know; cli/exporter_settings.cpp fills it from the options.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace siprof::client {

struct TlsFiles {
  std::string ca;    // empty: the system's roots
  std::string cert;  // with key: mTLS
  std::string key;
};

struct StreamSettings {
  std::string collector = "http://127.0.0.1:9460";
  std::string token;       // empty: none
  std::string token_file;  // read again at each connect, so that it can be replaced
  TlsFiles tls;
  std::string spool;  // folder
  std::uint64_t spool_bytes = 256u << 20;
  std::string host_name;  // for the hello
  absl::Duration first_retry = absl::Seconds(1);
  absl::Duration last_retry = absl::Seconds(60);
  absl::Duration answer_timeout = absl::Seconds(20);  // for welcome and acks
};

struct FolderSettings {
  std::string folder;
  // `record`: one merged file for each of `kinds` and metrics.json, written at
  // flush, instead of a file per window.
  bool merged = false;
  std::vector<std::string> kinds;
};

struct ExporterSettings {
  StreamSettings stream;
  FolderSettings folder;  // used when `folder.folder` isn't empty
};

}  // namespace siprof::client
