// SPDX-License-Identifier: Apache-2.0
#include "test/collector/http_support.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

namespace siprof::collector::test {

Connection::Connection(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  const timeval patience{4, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

Connection::~Connection() {
  if (fd_ >= 0) ::close(fd_);
}

// The server may answer and close before it has read all.
void Connection::send(const std::string& bytes) {
  (void)!::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

std::string Connection::rest() {
  std::string answer;
  char buffer[4096];
  for (ssize_t got; (got = ::recv(fd_, buffer, sizeof buffer, 0)) > 0;)
    answer.append(buffer, static_cast<std::size_t>(got));
  return answer;
}

Port::Port(const Setting& setting) : store_(dir_.path("store")) {
  HttpOptions options;
  options.port = 0;
  options.connections = setting.connections;
  options.request_timeout = absl::Seconds(1);
  options.now_ns = [] { return kNowS * kSecondNs; };
  if (!setting.tokens.empty()) {
    options.web_tokens_file = tokens_file();
    set_tokens(setting.tokens);
  }
  auto started = HttpServer::start(options, *store_.reader, *store_.store, registry_);
  INFO(started.status().ToString());
  REQUIRE(started.ok());
  server_ = *std::move(started);
}

void Port::set_tokens(const std::string& tokens) {
  std::ofstream(tokens_file()) << tokens;
  ::chmod(tokens_file().c_str(), 0600);
}

void Port::fill() {
  const std::map<std::string, std::string> v1 = {{"service.version", "1"}, {"host.name", "a"}};
  const std::map<std::string, std::string> v2 = {{"service.version", "2"}, {"host.name", "b"}};
  store_.add({.start_s = kNowS - 100, .labels = v1}, "main;burn 600\nmain;idle 200");
  store_.add({.start_s = kNowS - 50, .labels = v2}, "main;burn 100\nmain;idle 100");
  store_.add({.start_s = kNowS - 5000, .labels = v1}, "main;burn 1\nmain;idle 3");
}

httplib::Result Port::get(const std::string& path, const httplib::Headers& headers) const {
  httplib::Client client("127.0.0.1", port());
  client.set_url_encode(false);
  client.set_decompress(false);
  auto result = client.Get(path, headers);
  REQUIRE(result);
  return result;
}

nlohmann::json Port::ok(const std::string& path) const {
  const auto result = get(path);
  INFO(path << " " << result->body);
  REQUIRE(result->status == 200);
  return nlohmann::json::parse(result->body);
}

std::string Port::error(int status, const std::string& path) const {
  const auto result = get(path);
  INFO(path << " " << result->body);
  CHECK(result->status == status);
  return nlohmann::json::parse(result->body).at("error").at("message");
}

std::string Port::raw(const std::string& bytes) const {
  Connection connection = connect();
  connection.send(bytes);
  return connection.rest();
}

}  // namespace siprof::collector::test
