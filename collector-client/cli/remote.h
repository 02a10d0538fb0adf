// SPDX-License-Identifier: Apache-2.0
// What the commands that ask a collector share: their options and the request.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "collector-client/base/resource.h"

namespace siprof::client {

enum RemoteNeeds : unsigned { kNoOptions = 0, kRange = 1, kLimit = 2, kFile = 4, kJson = 8 };

struct RemoteOptions {
  std::string server;
  std::string token;
  std::string tls_ca, tls_cert, tls_key;
  std::string service, kind, type, from, to;
  std::vector<std::string> labels;  // k=v
  std::string limit;
  std::string file;
  bool json = false;
  bool help = false;
  std::string help_text;

  // service, kind, type, from, to, match
  std::vector<std::pair<std::string, std::string>> range_parameters() const;
};

// `needs` says which options the command has besides the server's.
// Errors: INVALID_ARGUMENT, one line that says what to write.
absl::StatusOr<RemoteOptions> parse_remote(const char* command, const std::vector<std::string>& arguments,
                                           unsigned needs, const Environment& environment);

// The body of a 200. Errors: no connection, or what the server said is wrong.
absl::StatusOr<std::string> ask(const RemoteOptions& options, const std::string& path);

// Parses, answers --help, runs `work`, prints its error as one line and turns
// it into a status: 0, 1, or 2 for bad options.
int run_remote(int argc, char** argv, unsigned needs, absl::Status (*work)(const RemoteOptions& options));

}  // namespace siprof::client
