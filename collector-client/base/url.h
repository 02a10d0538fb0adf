// SPDX-License-Identifier: Apache-2.0
// Addresses of collectors: http://HOST[:PORT][/PATH] or https://….
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace siprof::client {

struct Url {
  bool tls = false;
  std::string host;  // without the brackets of an IPv6 address
  std::uint16_t port = 0;
  std::string path;  // begins with '/', or empty

  std::string authority() const;  // "127.0.0.1:9460", "[::1]:9460"
};

// Errors: INVALID_ARGUMENT that says what to write.
absl::StatusOr<Url> parse_url(std::string_view text, std::uint16_t default_port);

}  // namespace siprof::client
