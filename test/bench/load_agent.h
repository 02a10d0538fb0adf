// SPDX-License-Identifier: Apache-2.0
// One simulated agent: a connection and a stream of its own, profiles and metrics out, acks in.
// Runs on gRPC's callback threads, so that a thousand of them need no thousand threads.
#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "collector.grpc.pb.h"

namespace siprof::bench {

struct LoadResult {
  std::vector<double> ack_seconds;
  std::uint64_t sent = 0, sent_bytes = 0, sent_points = 0, stored = 0, other_acks = 0;
  std::size_t unacknowledged = 0;
  std::string error;  // why the stream ended, empty while it lives
};

class LoadAgent final : public grpc::ClientBidiReactor<v1::AgentMessage, v1::CollectorMessage> {
 public:
  LoadAgent(const std::string& target, const std::string& token, const std::string& agent_id);

  // Queues a profile or metrics; the sequence number is set here.
  void send(v1::AgentMessage message);
  LoadResult result() const;
  // Ends the stream and waits until gRPC is done with it.
  void stop();

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  void queue(v1::AgentMessage message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  grpc::ClientContext context_;
  std::unique_ptr<v1::Collector::Stub> stub_;
  v1::CollectorMessage incoming_;

  mutable absl::Mutex mutex_;
  std::deque<v1::AgentMessage> outgoing_ ABSL_GUARDED_BY(mutex_);
  std::deque<absl::Time> waiting_since_ ABSL_GUARDED_BY(mutex_);  // answers come in order
  LoadResult result_ ABSL_GUARDED_BY(mutex_);
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace siprof::bench
