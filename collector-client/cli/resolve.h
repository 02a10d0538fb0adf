// SPDX-License-Identifier: Apache-2.0
// Host names to addresses by c-ares: libc's resolver wants shared libraries of
// exactly this libc at run time, which a static program must not depend on.
#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace siprof::client {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

// In the order to try. Errors: NOT_FOUND, DEADLINE_EXCEEDED.
absl::StatusOr<std::vector<SocketAddress>> resolve(const std::string& host, std::uint16_t port,
                                                   absl::Time deadline);

}  // namespace siprof::client
