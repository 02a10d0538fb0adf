// SPDX-License-Identifier: Apache-2.0
// What the ingest tests share: a store in memory that can be told to fail or to
// wait, valid profiles, files in a folder of their own, and an agent to talk with.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "collector.grpc.pb.h"
#include "collector/ingest/ingest_server.h"
#include "collector/store/store.h"
#include "prometheus/registry.h"
#include "test/collector/ingest_sample.h"

namespace siprof::collector {

class FakeStore final : public Store {
 public:
  std::vector<absl::StatusOr<Stored>> write(std::span<const IncomingProfile> batch) override;
  std::vector<absl::StatusOr<Stored>> write_metrics(std::span<const IncomingMetrics> batch) override;
  absl::Status ready() const override;

  void fail_with(absl::Status status);  // OK: works again
  void hold();                          // write() doesn't return until release()
  void release();
  std::size_t stored() const;
  std::size_t largest_batch() const;
  std::vector<IncomingProfile> profiles() const;
  std::vector<IncomingMetrics> metrics() const;

 private:
  template <typename Incoming>
  std::vector<absl::StatusOr<Stored>> write_to(std::vector<Incoming>& stored,
                                               std::span<const Incoming> batch);

  mutable absl::Mutex mutex_;
  absl::Status status_;
  bool held_ = false;
  std::size_t largest_batch_ = 0;
  std::set<std::pair<std::string, std::uint64_t>> seen_;
  std::vector<IncomingProfile> profiles_;
  std::vector<IncomingMetrics> metrics_;
};

v1::Profile sample_profile(std::uint64_t sequence);
inline constexpr char kAgentId[] = "0123456789abcdef0123456789abcdef";

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  // Mode 0600, in one step as an operator's editor would do it.
  std::string write(const std::string& name, const std::string& content) const;

 private:
  std::filesystem::path folder_;
};

// A server over a FakeStore on a free port.
struct TestServer {
  explicit TestServer(IngestOptions options = {});
  std::string address() const;
  std::shared_ptr<grpc::Channel> channel() const;
  double counter(const std::string& name, const std::string& reason = "") const;

  FakeStore store;
  prometheus::Registry registry;
  std::unique_ptr<IngestServer> server;
};

class TestAgent {
 public:
  explicit TestAgent(const std::shared_ptr<grpc::Channel>& channel, const std::string& token = "");
  ~TestAgent();

  bool send(const v1::AgentMessage& message) { return stream_->Write(message); }
  bool send_hello(const std::string& agent_id = kAgentId, std::uint32_t version = 1);
  bool send(const v1::Profile& profile);
  bool send(const v1::Metrics& metrics);
  std::optional<v1::CollectorMessage> receive();
  // Hello, welcome and the first configuration; fails the test if they don't come.
  v1::Configuration greet(const std::string& agent_id = kAgentId);
  v1::Ack next_ack();                      // fails the test if something else comes
  v1::Configuration next_configuration();  // the same
  grpc::Status status();                   // reads on to the end of the stream
  grpc::Status close();                    // says that no more comes, then the same

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::Collector::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AgentMessage, v1::CollectorMessage>> stream_;
  bool finished_ = false;
};

bool eventually(const std::function<bool()>& condition, absl::Duration most = absl::Seconds(10));

}  // namespace siprof::collector
