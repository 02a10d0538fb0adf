// SPDX-License-Identifier: Apache-2.0
// What the tests of the HTTP port share: a real server on a port of its own over a
// store of its own, and connections without an HTTP library.
#pragma once

#include <httplib.h>

#include <prometheus/registry.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "collector/http/http_server.h"
#include "test/collector/store_support.h"

namespace siprof::collector::test {

class Connection {
 public:
  explicit Connection(int port);
  ~Connection();
  Connection(Connection&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Connection& operator=(Connection&&) = delete;

  void send(const std::string& bytes);
  // What comes until the server closes, or for 4 s.
  std::string rest();

 private:
  int fd_;
};

class Port {
 public:
  struct Setting {
    std::string tokens = {};
    std::size_t connections = HttpOptions().connections;
  };
  explicit Port(const Setting& setting);
  Port() : Port(Setting()) {}

  void set_tokens(const std::string& tokens);
  // Two versions of a shop within the last two minutes, and what was an hour before.
  void fill();
  TestStore& store() { return store_; }
  int port() const { return server_->port(); }

  httplib::Result get(const std::string& path, const httplib::Headers& headers = {}) const;
  nlohmann::json ok(const std::string& path) const;
  // The message of an error answer with this status.
  std::string error(int status, const std::string& path) const;
  Connection connect() const { return Connection(port()); }
  // Sends bytes as they are and returns what comes back until the server closes.
  std::string raw(const std::string& bytes) const;

 private:
  std::string tokens_file() const { return dir_.path("tokens"); }
  TempDir dir_;
  TestStore store_;
  prometheus::Registry registry_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace siprof::collector::test
