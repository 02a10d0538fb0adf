// SPDX-License-Identifier: Apache-2.0
// Speaks siprof.v1 as the contract says, except where a test tells it not to.
#include "test/unit/collector-client/export/fake_collector.h"

#include <grpcpp/server_builder.h>

#include <chrono>
#include <stdexcept>

namespace siprof::client {

FakeCollector::FakeCollector(int port, Store store, std::shared_ptr<grpc::ServerCredentials> credentials)
    : store_(std::move(store)) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port), credentials, &port_);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port_ == 0) throw std::runtime_error("no port for the fake collector");
}

FakeCollector::~FakeCollector() {
  // No goodbye: streams are cut at once.
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

std::vector<std::string> FakeCollector::stored_in_order() {
  std::vector<std::string> contents;
  for (const v1::Profile& profile : profiles()) contents.push_back(profile.pprof_gzip());
  return contents;
}

grpc::Status FakeCollector::Connect(grpc::ServerContext* context, Stream* stream) {
  const auto token = context->client_metadata().find("authorization");
  const std::string given = token == context->client_metadata().end()
                                ? ""
                                : std::string(token->second.data(), token->second.size());
  {
    const std::lock_guard lock(mutex_);
    if (!token_.empty() && given != "Bearer " + token_) return {grpc::UNAUTHENTICATED, "who are you"};
  }
  v1::AgentMessage message;
  if (!stream->Read(&message) || !message.has_hello()) return {grpc::INVALID_ARGUMENT, "no hello"};
  const std::string agent_id = message.hello().agent_id();
  greet(stream, message.hello());
  while (stream->Read(&message)) {
    v1::CollectorMessage answer;
    if (store(agent_id, message, answer.mutable_ack())) stream->Write(answer);
  }
  return grpc::Status::OK;
}

void FakeCollector::greet(Stream* stream, const v1::Hello& hello) {
  v1::CollectorMessage welcome, configuration;
  {
    const std::lock_guard lock(mutex_);
    hello_ = hello;
    if (silent_) return;
    welcome.mutable_welcome()->set_protocol_version(1);
    welcome.mutable_welcome()->set_max_message_bytes(max_message_bytes_);
    *configuration.mutable_configuration() = configuration_;
  }
  stream->Write(welcome);
  stream->Write(configuration);
}

bool FakeCollector::store(const std::string& agent_id, const v1::AgentMessage& message, v1::Ack* ack) {
  const std::lock_guard lock(mutex_);
  const v1::Profile& profile = message.profile();
  ack->set_sequence(message.has_metrics() ? message.metrics().sequence() : profile.sequence());
  if (message.has_metrics() && !metrics_rejected_.empty()) {
    ack->set_result(v1::Ack::REJECTED);
    ack->set_reason(metrics_rejected_);
  } else if (!rejected_.empty() && profile.pprof_gzip() == rejected_) {
    ack->set_result(v1::Ack::REJECTED);
    ack->set_reason("not this one");
  } else if (store_.seen.insert({agent_id, ack->sequence()}).second) {
    if (message.has_metrics())
      store_.metrics.push_back(message.metrics());
    else
      store_.profiles.push_back(profile);
    ack->set_result(v1::Ack::STORED);
  } else {
    ++duplicates_;
    ack->set_result(v1::Ack::DUPLICATE);
  }
  return !swallow_acks_ && !silent_;
}

}  // namespace siprof::client
