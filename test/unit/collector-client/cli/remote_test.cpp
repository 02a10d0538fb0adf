// SPDX-License-Identifier: Apache-2.0
// The small HTTP client against a server of its own, and the tables.
#include "collector-client/cli/remote.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <thread>

#include "collector-client/base/unique_fd.h"
#include "collector-client/cli/http_get.h"
#include "collector-client/cli/tables.h"
#include "test/unit/collector-client/export/test_keys.h"

namespace siprof::client {
namespace {

// Answers one connection with fixed bytes and keeps the request.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer, absl::Duration pause = absl::ZeroDuration()) {
    listener_ = UniqueFd(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 1) == 0);
    socklen_t length = sizeof address;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this, answer, pause] {
      UniqueFd peer(::accept(listener_.get(), nullptr, nullptr));
      char buffer[4096];
      const ssize_t got = ::recv(peer.get(), buffer, sizeof buffer, 0);
      request.assign(buffer, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
      absl::SleepFor(pause);
      (void)::send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    });
  }
  ~OneAnswer() { join(); }
  void join() {
    if (thread_.joinable()) thread_.join();
  }

  std::string url;
  std::string request;

 private:
  UniqueFd listener_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("a request carries path and token, and the body comes back") {
  OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  HttpRequest request;
  request.url = *parse_url(server.url + "/base/", 80);
  request.path = "/x" + query_string({{"a", "b c&"}, {"empty", ""}, {"m", "k=v"}});
  request.token = "secret";
  const auto answer = http_get(request);
  server.join();
  REQUIRE(answer.ok());
  CHECK(answer->status == 200);
  CHECK(answer->body == "ok");
  CHECK(server.request.find("GET /base/x?a=b%20c%26&m=k%3dv HTTP/1.1\r\n") == 0);
  CHECK(server.request.find("Authorization: Bearer secret\r\n") != std::string::npos);
}

TEST_CASE("no server, no HTTP, slow and endless answers are clear errors") {
  HttpRequest request;
  request.timeout = absl::Milliseconds(300);
  {
    OneAnswer server("HTTP/1.1 200 OK\r\n\r\nlate", absl::Milliseconds(700));
    request.url = *parse_url(server.url, 80);
    CHECK(absl::IsDeadlineExceeded(http_get(request).status()));
  }
  CHECK(absl::IsUnavailable(http_get(request).status()));  // nobody listens any more
  request.timeout = absl::Seconds(10);
  {
    OneAnswer server("SSH-2.0-nonsense\r\n");
    request.url = *parse_url(server.url, 80);
    CHECK(absl::IsDataLoss(http_get(request).status()));
  }
  OneAnswer server("HTTP/1.1 200 OK\r\n\r\n" + std::string(5000, 'x'));
  request.url = *parse_url(server.url, 80);
  request.max_bytes = 1000;
  CHECK(absl::IsResourceExhausted(http_get(request).status()));
}

TEST_CASE("https works with a trusted certificate for that host and with no other") {
  const TestKeys keys, strangers;
  // Says "ACCEPT 127.0.0.1:PORT", answers with a page and ends after the third connection.
  const std::string command = "exec timeout 30 openssl s_server -accept 127.0.0.1:0 -www -naccept 3 -cert " +
                              keys.file("server.pem") + " -key " + keys.file("server.key") + " 2>/dev/null";
  FILE* server = ::popen(command.c_str(), "r");
  REQUIRE(server != nullptr);
  int port = 0;
  for (char line[256]; port == 0 && ::fgets(line, sizeof line, server) != nullptr;) {
    (void)std::sscanf(line, "ACCEPT 127.0.0.1:%d", &port);
  }
  REQUIRE(port != 0);
  HttpRequest request;
  request.path = "/";
  request.timeout = absl::Seconds(10);
  request.tls_ca = keys.file("ca.pem");
  for (const char* host : {"localhost", "127.0.0.1"}) {
    request.url = *parse_url("https://" + std::string(host) + ":" + std::to_string(port), 443);
    const auto answer = http_get(request);
    INFO(answer.status().ToString());
    REQUIRE(answer.ok());
    CHECK(answer->status == 200);
  }
  request.tls_ca = strangers.file("ca.pem");
  const absl::Status status = http_get(request).status();
  CHECK(std::string(status.message()).find("certificate verify failed") != std::string::npos);
  ::pclose(server);
}

TEST_CASE("chunked and cut off answers are told apart") {
  CHECK(parse_http_answer(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n")
            ->body == "abcde");
  for (const char* bad :
       {"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc"}) {
    INFO(bad);
    CHECK_FALSE(parse_http_answer(bad).ok());
  }
}

TEST_CASE("what the server says is wrong reaches the user") {
  OneAnswer server(
      "HTTP/1.1 404 Not Found\r\n\r\n{\"error\":{\"code\":\"not_found\",\"message\":\"no service x\"}}");
  RemoteOptions options;
  options.server = server.url;
  const auto body = ask(options, "/api/v1/top");
  CHECK(std::string(body.status().message()) == server.url + ": no service x");
}

TEST_CASE("remote options are checked before anything is asked") {
  const auto error = [](const std::vector<std::string>& arguments) {
    return parse_remote("top", arguments, kRange | kLimit | kJson, {}).status();
  };
  CHECK(error({"--service", "x", "--label", "a=b", "--label", "c=d"}).ok());
  CHECK_FALSE(error({}).ok());
  CHECK_FALSE(error({"--service", "x", "--label", "a"}).ok());
  CHECK_FALSE(error({"--service", "x", "--server", "nonsense"}).ok());
  CHECK_FALSE(error({"--service", "x", "--token", "a b"}).ok());
  CHECK_FALSE(error({"--service", "x", "extra"}).ok());
  const auto options = parse_remote("services", {}, kJson, {{"SIPROF_TOKEN", "t"}});
  REQUIRE(options.ok());
  CHECK(options->token == "t");
  CHECK(options->server == "http://127.0.0.1:9461");
}

TEST_CASE("answers become tables, and other JSON an error") {
  const auto services = services_table(
      R"({"services":[{"service":"redis","first":1,"last":2,"kinds":[{"kind":"cpu"},{"kind":"io"}],"versions":["1"],"hosts":["h"]}]})");
  REQUIRE(services.ok());
  CHECK(services->find("redis    cpu,io  1") != std::string::npos);
  const auto top = top_table(
      R"j({"service":"x","kind":"cpu","type":"cpu","unit":"nanoseconds","total":1000000000,"functions":[)j"
      R"j({"name":"burn()","self":700000000,"total":1000000000,"self_share":0.7,"total_share":1,)j"
      R"j("before":{"self_share":0.5}},)j"
      R"j({"name":"g","self":0,"total":0,"self_share":0,"total_share":0,"before":null}]})j");
  REQUIRE(top.ok());
  CHECK(top->find("700.0ms  70.0%      1.00s 100.0%  +20.0  burn()") != std::string::npos);
  CHECK(top->find("new  g") != std::string::npos);
  // Nothing was before: no column of "new".
  const auto first =
      top_table(R"j({"service":"x","kind":"cpu","type":"cpu","unit":"nanoseconds","total":1,"functions":[)j"
                R"j({"name":"g","self":1,"total":1,"self_share":1,"total_share":1,"before":null}]})j");
  REQUIRE(first.ok());
  CHECK(first->find("new") == std::string::npos);
  CHECK(first->find("trend") == std::string::npos);
  CHECK(absl::IsDataLoss(services_table("{}").status()));
  CHECK(absl::IsDataLoss(top_table("not json").status()));
}

}  // namespace siprof::client
