// SPDX-License-Identifier: Apache-2.0
#include "test/collector/ingest_support.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"

namespace siprof::collector {

std::vector<absl::StatusOr<Stored>> FakeStore::write(std::span<const IncomingProfile> batch) {
  absl::MutexLock lock(&mutex_);
  const auto released = [this] { return !held_; };
  mutex_.Await(absl::Condition(&released));
  largest_batch_ = std::max(largest_batch_, batch.size());
  std::vector<absl::StatusOr<Stored>> results;
  for (const IncomingProfile& profile : batch) {
    if (!status_.ok()) {
      results.emplace_back(status_);
    } else if (seen_.emplace(profile.agent_id, profile.sequence).second) {
      profiles_.push_back(profile);
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

perftools::profiles::Profile sample_pprof() {
  perftools::profiles::Profile profile;
  for (const char* text : {"", "samples", "count", "cpu", "nanoseconds", "main", "_Z4burnv", "burn()",
                           "main.cpp", "/usr/bin/app", "thread", "worker", "pid", "taken=2"}) {
    profile.add_string_table(text);
  }
  const auto add_type = [&profile](int type, int unit) {
    auto& added = *profile.add_sample_type();
    added.set_type(type);
    added.set_unit(unit);
  };
  add_type(1, 2);
  add_type(3, 4);
  auto& mapping = *profile.add_mapping();
  mapping.set_id(1), mapping.set_memory_start(0x1000), mapping.set_memory_limit(0x9000),
      mapping.set_filename(9);
  for (const int name : {5, 7}) {
    auto& function = *profile.add_function();
    function.set_id(static_cast<std::uint64_t>(profile.function_size()));
    function.set_name(name), function.set_system_name(name == 7 ? 6 : 5), function.set_filename(8);
  }
  for (const std::uint64_t function : {1, 2}) {
    auto& location = *profile.add_location();
    location.set_id(static_cast<std::uint64_t>(profile.location_size()));
    location.set_mapping_id(1), location.set_address(0x1000 + function);
    auto& line = *location.add_line();
    line.set_function_id(function), line.set_line(7);
  }
  for (const std::int64_t count : {3, 4}) {
    auto& sample = *profile.add_sample();
    if (count == 3) sample.add_location_id(2);
    sample.add_location_id(1);
    sample.add_value(count), sample.add_value(count * 10'000'000);
    auto& thread = *sample.add_label();
    thread.set_key(10), thread.set_str(11);
    auto& pid = *sample.add_label();
    pid.set_key(12), pid.set_num(4711);
  }
  profile.set_time_nanos(absl::ToUnixNanos(absl::Now() - absl::Seconds(10)));
  profile.set_duration_nanos(10'000'000'000);
  *profile.mutable_period_type() = profile.sample_type(1);
  profile.set_period(10'000'000);
  profile.set_default_sample_type(3);
  profile.add_comment(13);
  return profile;
}

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    std::abort();
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) std::abort();
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
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
