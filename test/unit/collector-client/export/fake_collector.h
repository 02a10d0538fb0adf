// SPDX-License-Identifier: Apache-2.0
// A collector in the test's own process, on a port of loopback.
#pragma once

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "collector-client/base/file_io.h"
#include "collector.grpc.pb.h"

namespace siprof::client {

class FakeCollector : public v1::Collector::Service {
 public:
  // What was stored, in the order of arrival, and under which (agent, number).
  struct Store {
    std::vector<v1::Profile> profiles;
    std::vector<v1::Metrics> metrics;
    std::set<std::pair<std::string, std::uint64_t>> seen;
  };

  explicit FakeCollector(
      int port = 0, Store store = {},
      std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials());
  ~FakeCollector() override;

  int port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  void swallow_acks(bool on) {
    locked([&] { swallow_acks_ = on; });
  }
  void stay_silent(bool on) {
    locked([&] { silent_ = on; });
  }
  void reject(std::string content) {
    locked([&] { rejected_ = std::move(content); });
  }
  // As a collector does that is older than metrics.
  void reject_metrics(std::string reason) {
    locked([&] { metrics_rejected_ = std::move(reason); });
  }
  void want_token(std::string token) {
    locked([&] { token_ = std::move(token); });
  }
  void set_max_message_bytes(std::uint64_t bytes) {
    locked([&] { max_message_bytes_ = bytes; });
  }
  void set_configuration(v1::Configuration c) {
    locked([&] { configuration_ = std::move(c); });
  }

  std::vector<v1::Profile> profiles() { return take_store().profiles; }
  std::vector<std::string> stored_in_order();
  Store take_store() {
    const std::lock_guard lock(mutex_);
    return store_;
  }
  v1::Hello hello() {
    const std::lock_guard lock(mutex_);
    return hello_;
  }
  int duplicates() {
    const std::lock_guard lock(mutex_);
    return duplicates_;
  }

 private:
  using Stream = grpc::ServerReaderWriter<v1::CollectorMessage, v1::AgentMessage>;
  grpc::Status Connect(grpc::ServerContext* context, Stream* stream) override;
  void greet(Stream* stream, const v1::Hello& hello);
  bool store(const std::string& agent_id, const v1::AgentMessage& message, v1::Ack* ack);

  template <typename Change>
  void locked(Change change) {
    const std::lock_guard lock(mutex_);
    change();
  }

  std::mutex mutex_;
  Store store_;
  v1::Hello hello_;
  int duplicates_ = 0;
  bool swallow_acks_ = false;
  bool silent_ = false;
  std::string rejected_;
  std::string metrics_rejected_;
  std::string token_;
  std::uint64_t max_message_bytes_ = 4u << 20;
  v1::Configuration configuration_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace siprof::client
