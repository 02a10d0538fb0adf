// SPDX-License-Identifier: Apache-2.0
// The collector's gRPC port: siprof.v1.Collector, health and reflection. Main starts
// one, hands it the store, and stops it before the store goes away.
//
//   streams (gRPC's threads): read, validate ─▶ bounded queue ─▶ writer thread ─▶ Store::write ─▶ acks
//   housekeeping thread: files that change, streams that hang, health
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "collector/ingest/ingest_options.h"
#include "collector/store/store.h"

namespace prometheus {
class Registry;
}

namespace siprof::collector {

class IngestServer {
 public:
  // `store` and `registry` outlive the server.
  // Errors: one line that says which option or file to change.
  static absl::StatusOr<std::unique_ptr<IngestServer>> start(IngestOptions options, Store& store,
                                                             prometheus::Registry& registry);
  ~IngestServer();  // stops

  int port() const;

  // Rereads configuration and token file now rather than at the next look (for SIGHUP). Any thread,
  // not from a signal handler. What is broken is logged and the old one stays.
  void reload();

  // Writes and acknowledges what has been read, then ends all streams with UNAVAILABLE, so that agents
  // come back. Takes a few seconds at most beyond the store's own time. Not twice at once.
  void stop();

 private:
  class State;
  explicit IngestServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace siprof::collector
