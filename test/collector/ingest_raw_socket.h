// SPDX-License-Identifier: Apache-2.0
// Somebody on the network who doesn't speak gRPC.
#pragma once

#include <string>

namespace siprof::collector {

// Connects to loopback, sends, reads until the other side hangs up or a second is over, closes.
// Returns what came. Fails the test if there is nobody to connect to.
std::string send_and_hang_up(int port, const std::string& bytes);

}  // namespace siprof::collector
