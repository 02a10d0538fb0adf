// SPDX-License-Identifier: Apache-2.0
// The collector's HTTP port: API, health, metrics and the dashboard's files.
// Main starts one and stops it before the store goes away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "collector/store/reader.h"
#include "collector/store/store.h"

namespace prometheus {
class Registry;
}

namespace siprof::collector {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 9461;              // 0: one that is free
  std::string web_tokens_file;  // empty: no tokens
  std::string tls_cert_file;    // empty: plain HTTP
  std::string tls_key_file;
  bool any_host = false;          // without tokens: answer under any Host
  std::size_t connections = 512;  // open at the same time; further ones wait
  absl::Duration request_timeout = absl::Seconds(10);
  std::function<std::int64_t()> now_ns;  // unset: the system's clock
};

class HttpServer {
 public:
  // `reader`, `store` and `registry` outlive the server.
  // Errors: one line that says which option to change.
  static absl::StatusOr<std::unique_ptr<HttpServer>> start(HttpOptions options, const StoreReader& reader,
                                                           const Store& store,
                                                           prometheus::Registry& registry);
  ~HttpServer();  // stops: running requests end, new ones are refused

  int port() const;

 private:
  class State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace siprof::collector
