// SPDX-License-Identifier: Apache-2.0
// A gRPC channel to the collector: address, TLS, keepalive, and the token that
// goes with each stream.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "collector-client/export/settings.h"

namespace siprof::client {

// Reads the TLS files anew, so that they can be replaced while the agent runs.
// Errors: an address or a file that cannot be used; nothing is sent yet.
absl::StatusOr<std::shared_ptr<grpc::Channel>> make_channel(const StreamSettings& settings);

// The token, from its file if one is named; empty: none. Errors: an unreadable
// file, a token that cannot stand in a header.
absl::StatusOr<std::string> read_token(const StreamSettings& settings);

}  // namespace siprof::client
