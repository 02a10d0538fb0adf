// SPDX-License-Identifier: Apache-2.0
// Length-prefixed messages with descriptors over a Unix stream socket, between WorkerClient and
// the worker.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "collector-client/symbolize/file_opener.h"

namespace siprof::client {

struct Message {
  std::string bytes;
  std::vector<UniqueFd> files;
};

// Errors: DEADLINE_EXCEEDED; UNAVAILABLE the other side is gone; DATA_LOSS it sends nonsense.
absl::Status send_message(int socket, std::string_view bytes, const std::vector<int>& files,
                          absl::Time deadline);
absl::StatusOr<Message> receive_message(int socket, absl::Time deadline);

}  // namespace siprof::client
