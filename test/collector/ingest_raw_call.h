// SPDX-License-Identifier: Apache-2.0
// One gRPC call with hand-made bytes, for services whose stubs Debian doesn't ship
// (health, reflection) and for messages that no stub would send.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

namespace siprof::collector {

struct RawAnswer {
  grpc::Status status;
  std::string message;  // the first one
};

// `method`: "/package.Service/Method".
RawAnswer raw_call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                   const std::string& request);

}  // namespace siprof::collector
