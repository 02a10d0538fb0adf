// SPDX-License-Identifier: Apache-2.0
#include "test/bench/load_agent.h"

#include <utility>

namespace siprof::bench {

LoadAgent::LoadAgent(const std::string& target, const std::string& token, const std::string& agent_id) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // as from as many hosts
  stub_ = v1::Collector::NewStub(
      grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments));
  if (!token.empty()) context_.AddMetadata("authorization", "Bearer " + token);
  stub_->async()->Connect(&context_, this);
  AddHold();  // writes start outside of gRPC's own calls; released by stop()
  v1::AgentMessage hello;
  hello.mutable_hello()->set_protocol_version(1);
  hello.mutable_hello()->set_agent_id(agent_id);
  absl::MutexLock lock(&mutex_);
  queue(std::move(hello));
  StartRead(&incoming_);
  StartCall();
}

void LoadAgent::queue(v1::AgentMessage message) {
  outgoing_.push_back(std::move(message));
  if (outgoing_.size() == 1 && !broken_) StartWrite(&outgoing_.front());
}

void LoadAgent::send(v1::AgentMessage message) {
  absl::MutexLock lock(&mutex_);
  if (message.has_metrics()) {
    message.mutable_metrics()->set_sequence(++result_.sent);
    result_.sent_points += static_cast<std::uint64_t>(message.metrics().points_size());
  } else {
    message.mutable_profile()->set_sequence(++result_.sent);
    result_.sent_bytes += message.profile().pprof_gzip().size();
  }
  waiting_since_.push_back(absl::Now());
  queue(std::move(message));
}

void LoadAgent::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  broken_ |= !ok;
  outgoing_.pop_front();
  if (!outgoing_.empty() && !broken_) StartWrite(&outgoing_.front());
}

void LoadAgent::OnReadDone(bool ok) {
  if (!ok) return;
  {
    absl::MutexLock lock(&mutex_);
    if (incoming_.has_ack() && !waiting_since_.empty()) {
      result_.ack_seconds.push_back(absl::ToDoubleSeconds(absl::Now() - waiting_since_.front()));
      waiting_since_.pop_front();
      ++(incoming_.ack().result() == v1::Ack::STORED ? result_.stored : result_.other_acks);
      if (incoming_.ack().result() == v1::Ack::REJECTED) result_.error = incoming_.ack().reason();
    }
  }
  StartRead(&incoming_);
}

void LoadAgent::OnDone(const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (!status.ok() && status.error_code() != grpc::StatusCode::CANCELLED)
    result_.error = status.error_message();
  done_ = true;
}

LoadResult LoadAgent::result() const {
  absl::MutexLock lock(&mutex_);
  LoadResult result = result_;
  result.unacknowledged = waiting_since_.size();
  return result;
}

void LoadAgent::stop() {
  context_.TryCancel();
  RemoveHold();
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&done_));
}

}  // namespace siprof::bench
