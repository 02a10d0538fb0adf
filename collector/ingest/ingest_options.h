// SPDX-License-Identifier: Apache-2.0
// What the gRPC side of the collector can be told. Filled by main from the command line.
#pragma once

#include <cstddef>
#include <string>

#include "absl/time/time.h"
#include "collector/ingest/pprof_limits.h"

namespace siprof::collector {

struct IngestOptions {
  std::string address = "127.0.0.1:9460";  // port 0: one that is free, see IngestServer::port()
  // Empty: not used.
  std::string tokens_file;         // one token a line; reread when it changes
  std::string configuration_file;  // see configuration.h; reread when it changes
  std::string tls_cert_file;       // PEM chain; with tls_key_file; both reread when they change
  std::string tls_key_file;
  std::string tls_client_ca_file;  // agents then need a certificate signed by it

  PprofLimits limits;  // limits.oldest: the longest retention

  std::size_t max_streams = 2'048;
  std::size_t max_message_bytes = 8U << 20;
  std::size_t max_queue_bytes =
      64U << 20;  // decoded profiles that wait for the store; above it no stream is read
  std::size_t max_network_bytes = 512U << 20;  // gRPC's buffers of all connections together
  std::size_t batch_profiles = 256;
  absl::Duration batch_wait = absl::Milliseconds(200);
  absl::Duration hello_timeout = absl::Seconds(10);
};

}  // namespace siprof::collector
