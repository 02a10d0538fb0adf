// SPDX-License-Identifier: Apache-2.0
// siprof.v1.Collector: lets an agent in (token, number of streams) and gives it an
// AgentStream. gRPC's threads.
#pragma once

#include <grpcpp/grpcpp.h>

#include "collector.grpc.pb.h"
#include "collector/ingest/agent_stream.h"

namespace siprof::collector {

// Raw: messages are decoded by the stream, when there is room, with its own errors.
class CollectorService final : public v1::Collector::WithRawCallbackMethod_Connect<v1::Collector::Service> {
 public:
  explicit CollectorService(StreamContext context) : context_(context) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Connect(
      grpc::CallbackServerContext* call) override;

 private:
  StreamContext context_;
};

}  // namespace siprof::collector
