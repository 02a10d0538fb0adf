// SPDX-License-Identifier: Apache-2.0
// Odd paths, bytes that are no request, connections that say nothing, a port that is taken.
#include <catch2/catch.hpp>

#include "absl/time/clock.h"
#include "test/collector/http_support.h"

namespace siprof::collector::test {
namespace {

TEST_CASE("no path leads to a file, and none brings the server down") {
  Port port;
  port.fill();
  for (const char* path : {"/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd",
                           "//etc/passwd", "/assets/../../etc/passwd", "/api/v1/../../etc/passwd", "/assets/",
                           "/.", "/api/v1/labels/..%2f..%2fcatalog.db/x/../..", "/%00", "/a%00b",
                           "/index.html%00.js", "/%", "/%zz", "/api", "/api/v1", "/api/v1/", "/\\..\\x"}) {
    const std::string answer =
        port.raw("GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    INFO(path << "\n" << answer);
    CHECK(answer.find("root:") == std::string::npos);
    CHECK((answer.starts_with("HTTP/1.1 40") || answer.find("\"values\":[]") != std::string::npos));
  }
  CHECK(port.raw("GET /" + std::string(100'000, 'a') +
                 " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .find(" 413 ") != std::string::npos);
  CHECK(port.raw("GET /" + std::string(8'000, 'a') +
                 " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .find(" 404 ") != std::string::npos);
  const std::string nul("GET /\0x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 57);
  // All at once: of most the server waits for more.
  std::vector<Connection> senders;
  for (const std::string& junk :
       {nul, std::string("\r\n\r\n"), std::string(50'000, 'A'), std::string("GET / HTTP/9.9\r\n\r\n"),
        std::string("\x16\x03\x01"), std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        std::string("GET  HTTP/1.1\r\n\r\n"),
        std::string("DELETE /api/v1/services HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        std::string("POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nx")}) {
    senders.push_back(port.connect());
    senders.back().send(junk);
  }
  for (Connection& sender : senders) CHECK(sender.rest().find("HTTP/1.1 200") == std::string::npos);
  CHECK(port.ok("/api/v1/services")["services"].size() == 1);
}

TEST_CASE("a port that is taken is an error with the address in it") {
  Port port;
  HttpOptions options;
  options.port = port.port();
  prometheus::Registry registry;
  const auto second = HttpServer::start(options, *port.store().reader, *port.store().store, registry);
  REQUIRE_FALSE(second.ok());
  CHECK(second.status().message().find("127.0.0.1:" + std::to_string(port.port())) != std::string::npos);
}

TEST_CASE("two hundred connections that say nothing or write slowly keep nobody waiting") {
  Port port;
  std::vector<Connection> others;
  for (int i = 0; i < 200; ++i) others.push_back(port.connect());
  for (std::size_t i = 0; i < others.size(); i += 2) others[i].send("GET /healthz HTTP/1.1\r\nHost: loc");
  for (const char* path : {"/healthz", "/", "/api/v1/services"}) {
    const absl::Time start = absl::Now();
    CHECK(port.get(path)->status == 200);
    CHECK(absl::Now() - start < absl::Seconds(1));
  }
  // And the slow ones are not cut off.
  others[0].send("alhost\r\nConnection: close\r\n\r\n");
  CHECK(others[0].rest().starts_with("HTTP/1.1 200"));
}

TEST_CASE("beyond the bound a connection waits until an idle one is closed, and is answered then") {
  Port port({.connections = 2});
  std::vector<Connection> idle;
  for (int i = 0; i < 2; ++i) idle.push_back(port.connect());
  CHECK(port.get("/healthz")->status == 200);
}

}  // namespace
}  // namespace siprof::collector::test
