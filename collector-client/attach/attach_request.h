// SPDX-License-Identifier: Apache-2.0
// The message by which a process attaches (proto/siprof/handshake.h), received and
// checked. Its bytes are hostile: lengths and texts are tested before use.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "collector-client/base/resource.h"
#include "collector-client/base/unique_fd.h"
#include "proto/siprof/handshake.h"

namespace siprof::client {

// As it came: kept whole so that it can be handed on to another agent.
struct RawMessage {
  std::vector<std::byte> bytes;
  std::vector<UniqueFd> descriptors;
};

struct AttachRequest {
  AttachMessage message{};
  std::string executable;
  std::vector<std::string> arguments;
  Environment environment;
  std::string first_maps;  // executable lines of /proc/PID/maps when it attached
  UniqueFd memory;
  UniqueFd pid;   // pidfd
  UniqueFd proc;  // O_PATH of /proc/PID
  UniqueFd root;  // O_PATH of /
  UniqueFd maps;
};

// Errors: INVALID_ARGUMENT for another version or bytes that don't add up.
absl::StatusOr<AttachRequest> parse_attach(RawMessage message);

// Receives one message; empty bytes at the end of the stream.
// Errors: what recvmsg said; INVALID_ARGUMENT for one that is too long.
absl::StatusOr<RawMessage> receive_message(int socket_fd);

// Errors: what sendmsg said.
absl::Status send_message(int socket_fd, const RawMessage& message);

}  // namespace siprof::client
