// SPDX-License-Identifier: Apache-2.0
#include "test/collector/ingest_support.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"

namespace siprof::collector {

std::vector<absl::StatusOr<Stored>> FakeStore::write(std::span<const IncomingProfile> batch) {
  return write_to(profiles_, batch);
}

std::vector<absl::StatusOr<Stored>> FakeStore::write_metrics(std::span<const IncomingMetrics> batch) {
  return write_to(metrics_, batch);
}

template <typename Incoming>
std::vector<absl::StatusOr<Stored>> FakeStore::write_to(std::vector<Incoming>& stored,
                                                        std::span<const Incoming> batch) {
  absl::MutexLock lock(&mutex_);
  const auto released = [this] { return !held_; };
  mutex_.Await(absl::Condition(&released));
  largest_batch_ = std::max(largest_batch_, batch.size());
  std::vector<absl::StatusOr<Stored>> results;
  for (const Incoming& one : batch) {
    if (!status_.ok()) {
      results.emplace_back(status_);
    } else if (seen_.emplace(one.agent_id, one.sequence).second) {
      stored.push_back(one);
      results.emplace_back(Stored::kNew);
    } else {
      results.emplace_back(Stored::kDuplicate);
    }
  }
  return results;
}

absl::Status FakeStore::ready() const {
  absl::MutexLock lock(&mutex_);
  return status_;
}

void FakeStore::fail_with(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  status_ = std::move(status);
}

void FakeStore::hold() {
  absl::MutexLock lock(&mutex_);
  held_ = true;
}

void FakeStore::release() {
  absl::MutexLock lock(&mutex_);
  held_ = false;
}

std::size_t FakeStore::stored() const {
  absl::MutexLock lock(&mutex_);
  return profiles_.size();
}

std::size_t FakeStore::largest_batch() const {
  absl::MutexLock lock(&mutex_);
  return largest_batch_;
}

std::vector<IncomingProfile> FakeStore::profiles() const {
  absl::MutexLock lock(&mutex_);
  return profiles_;
}

std::vector<IncomingMetrics> FakeStore::metrics() const {
  absl::MutexLock lock(&mutex_);
  return metrics_;
}

v1::Profile sample_profile(std::uint64_t sequence) {
  const auto pprof = sample_pprof();
  v1::Profile profile;
  profile.set_sequence(sequence);
  profile.set_kind("cpu");
  profile.set_start_unix_nanos(pprof.time_nanos());
  profile.set_duration_nanos(pprof.duration_nanos());
  (*profile.mutable_attributes())["service.name"] = "shop";
  (*profile.mutable_counters())["taken"] = 7;
  profile.set_pprof_gzip(gzip(pprof.SerializeAsString()));
  return profile;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "siprof-ingest-XXXXXX").string();
  if (!mkdtemp(name.data())) std::abort();
  folder_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::filesystem::remove_all(folder_);
}

std::string TemporaryFolder::write(const std::string& name, const std::string& content) const {
  const std::string fresh = path(name + ".new");
  std::ofstream(fresh, std::ios::binary) << content;
  chmod(fresh.c_str(), 0600);
  std::filesystem::rename(fresh, path(name));
  return path(name);
}

TestServer::TestServer(IngestOptions options) {
  options.address = "127.0.0.1:0";
  options.batch_wait = absl::Milliseconds(20);
  auto started = IngestServer::start(std::move(options), store, registry);
  INFO(started.status());
  REQUIRE(started.ok());
  server = *std::move(started);
}

std::string TestServer::address() const {
  return absl::StrCat("127.0.0.1:", server->port());
}

std::shared_ptr<grpc::Channel> TestServer::channel() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  return grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments);
}

double TestServer::counter(const std::string& name, const std::string& reason) const {
  for (const auto& family : registry.Collect()) {
    if (family.name != name) continue;
    for (const auto& metric : family.metric) {
      const bool matches =
          reason.empty() ? metric.label.empty() : !metric.label.empty() && metric.label[0].value == reason;
      if (matches) return metric.counter.value + metric.gauge.value;
    }
  }
  return 0;
}

TestAgent::TestAgent(const std::shared_ptr<grpc::Channel>& channel, const std::string& token)
    : stub_(v1::Collector::NewStub(channel)) {
  context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  if (!token.empty()) context_.AddMetadata("authorization", "Bearer " + token);
  stream_ = stub_->Connect(&context_);
}

TestAgent::~TestAgent() {
  if (finished_) return;
  context_.TryCancel();
  status();
}

bool TestAgent::send_hello(const std::string& agent_id, std::uint32_t version) {
  v1::AgentMessage message;
  message.mutable_hello()->set_protocol_version(version);
  message.mutable_hello()->set_agent_id(agent_id);
  return send(message);
}

bool TestAgent::send(const v1::Profile& profile) {
  v1::AgentMessage message;
  *message.mutable_profile() = profile;
  return send(message);
}

bool TestAgent::send(const v1::Metrics& metrics) {
  v1::AgentMessage message;
  *message.mutable_metrics() = metrics;
  return send(message);
}

std::optional<v1::CollectorMessage> TestAgent::receive() {
  v1::CollectorMessage message;
  if (!stream_->Read(&message)) return std::nullopt;
  return message;
}

v1::Configuration TestAgent::greet(const std::string& agent_id) {
  REQUIRE(send_hello(agent_id));
  const auto message = receive();
  REQUIRE(message.has_value());
  REQUIRE(message->has_welcome());
  REQUIRE(message->welcome().protocol_version() == 1);
  REQUIRE(message->welcome().max_message_bytes() > 0);
  return next_configuration();
}

v1::Ack TestAgent::next_ack() {
  const auto message = receive();
  REQUIRE(message.has_value());
  REQUIRE(message->has_ack());
  return message->ack();
}

v1::Configuration TestAgent::next_configuration() {
  const auto message = receive();
  REQUIRE(message.has_value());
  REQUIRE(message->has_configuration());
  return message->configuration();
}

grpc::Status TestAgent::status() {
  while (receive()) {
  }
  finished_ = true;
  return stream_->Finish();
}

grpc::Status TestAgent::close() {
  stream_->WritesDone();
  return status();
}

bool eventually(const std::function<bool()>& condition, absl::Duration most) {
  for (const absl::Time end = absl::Now() + most; absl::Now() < end; absl::SleepFor(absl::Milliseconds(10))) {
    if (condition()) return true;
  }
  return condition();
}

}  // namespace siprof::collector
