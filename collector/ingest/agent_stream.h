// SPDX-License-Identifier: Apache-2.0
// One agent's stream: hello, then profiles and metrics in and acks and configuration out.
//
// gRPC calls On…() on its few threads, one read at a time, so a message is decoded
// there without the lock; writer and housekeeping call the rest. Messages are raw
// buffers until there is room to decode them, so that a stream that has to wait
// holds no more than gRPC's bounded memory.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "collector.pb.h"
#include "collector/ingest/configuration.h"
#include "collector/ingest/ingest_metrics.h"
#include "collector/ingest/ingest_options.h"
#include "collector/ingest/profile_writer.h"
#include "collector/ingest/reloadable.h"
#include "collector/ingest/token_file.h"

namespace siprof::collector {

class StreamSet;

// What all streams share; outlives them.
struct StreamContext {
  const IngestOptions& options;
  ProfileWriter& writer;
  IngestMetrics& metrics;
  const Reloadable<FleetConfiguration>& configuration;
  const Reloadable<TokenSet>& tokens;
  StreamSet& streams;
};

class AgentStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                          public ProfileSource,
                          public std::enable_shared_from_this<AgentStream> {
 public:
  // `token`: what the agent presented, already found good.
  AgentStream(grpc::CallbackServerContext* call, StreamContext& context, std::string token);

  // Reads the first message; the stream keeps itself alive until gRPC is done with it.
  void start();

  // Any thread.
  void push_configuration();
  void end(const grpc::Status& status);
  // Ends what says no hello, takes no answer, or whose token has been revoked.
  void look_after(absl::Time now);

  // gRPC's threads.
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  // The writer's thread.
  void answer(const v1::Ack& ack) override;
  void give_up(const absl::Status& why) override;
  bool gave_up() const override;
  void room_again() override;

 private:
  void take_message();
  grpc::Status handle(const v1::AgentMessage& message);
  grpc::Status greet(const v1::Hello& hello);
  void take_profile(const v1::Profile& profile);
  void take_metrics(const v1::Metrics& metrics);
  grpc::Status take_unreadable(const grpc::ByteBuffer& message);
  template <typename Incoming>
  void submit(Incoming incoming);
  void reject(std::uint64_t sequence, const char* what, const absl::Status& why);

  void send(const v1::CollectorMessage& message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void send_ack(const v1::Ack& ack) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void send_configuration() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void finish(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  grpc::CallbackServerContext* const call_;  // valid until finish()
  StreamContext& context_;
  const std::string token_;
  const absl::Time opened_;
  std::shared_ptr<AgentStream> self_;  // start() to OnDone()

  grpc::ByteBuffer incoming_;  // belongs to the one read in progress, whoever handles it
  std::string agent_id_;       // set by hello, which comes before every reader of it

  mutable absl::Mutex mutex_;
  bool greeted_ ABSL_GUARDED_BY(mutex_) = false;
  bool reading_ ABSL_GUARDED_BY(mutex_) = true;  // a read, its message or a wait for room is under way
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool no_more_input_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool gave_up_ ABSL_GUARDED_BY(mutex_) = false;
  std::size_t in_writer_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<grpc::ByteBuffer> outgoing_ ABSL_GUARDED_BY(mutex_);  // front is being written if writing_
  std::optional<grpc::Status> ending_ ABSL_GUARDED_BY(mutex_);
  absl::Time ending_since_ ABSL_GUARDED_BY(mutex_);
  absl::Time last_written_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace siprof::collector
