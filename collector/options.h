// SPDX-License-Identifier: Apache-2.0
// siprof-collector's command line (contract: docs/configuration.md). Read once by main.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "collector/store/retention.h"

namespace siprof::collector {

struct Address {
  std::string host;
  int port = 0;

  std::string text() const;  // 127.0.0.1:9461, [::1]:9461
};

struct Options {
  Address grpc{"127.0.0.1", 9460};
  Address http{"127.0.0.1", 9461};
  std::string store_dir;
  std::vector<Tier> tiers = default_tiers();
  std::int64_t store_bytes = 0;  // 0: no limit
  std::string config_file;
  std::string tokens_file;
  std::string web_tokens_file;
  std::string tls_cert_file;
  std::string tls_key_file;
  std::string tls_client_ca_file;
  bool insecure = false;
};

// Text that was asked for (--help, --version) instead of a start.
struct Printed {
  std::string text;
};

// Errors: INVALID_ARGUMENT, one line that says what to write.
absl::StatusOr<std::variant<Options, Printed>> parse_options(int argc, const char* const* argv);

// "127.0.0.1:9460", "[::1]:9460", "host:0"; ":9460" is every address.
absl::StatusOr<Address> parse_address(const std::string& text);

// 127.0.0.0/8, ::1 or localhost.
bool is_loopback(const std::string& host);

// Refuses to listen beyond this machine to whoever comes, unless --insecure.
absl::Status check_exposure(const Options& options);

// $XDG_STATE_HOME/siprof/store, else ~/.local/state/siprof/store, else empty.
std::string default_store_dir();

}  // namespace siprof::collector
