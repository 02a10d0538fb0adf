// SPDX-License-Identifier: Apache-2.0
// A GET over HTTP/1.1, plain or TLS, for the commands that ask a collector.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "collector-client/base/url.h"

namespace siprof::client {

struct HttpRequest {
  Url url;           // of the server; its path goes before `path`
  std::string path;  // "/api/v1/top?…", encoded
  std::string token;
  std::string tls_ca;  // empty: the system's roots
  std::string tls_cert;
  std::string tls_key;
  absl::Duration timeout = absl::Seconds(30);  // for all of it
  std::size_t max_bytes = 256u << 20;
};

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// Errors: no connection, timeout, no HTTP, too long; an HTTP error status isn't one.
absl::StatusOr<HttpAnswer> http_get(const HttpRequest& request);

// "?a=b&c=d", percent-encoded; values that are empty are left out.
std::string query_string(const std::vector<std::pair<std::string, std::string>>& parameters);

// Head and body as they came until the server closed. Exposed for tests.
absl::StatusOr<HttpAnswer> parse_http_answer(std::string_view bytes);

}  // namespace siprof::client
