// SPDX-License-Identifier: Apache-2.0
// Who is answered on the HTTP port: tokens, login, host names, listening beyond the machine.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <thread>

#include "collector/options.h"
#include "test/collector/http_support.h"

namespace siprof::collector::test {
namespace {

using nlohmann::json;

TEST_CASE("with tokens only health and the page itself are free") {
  Port port({.tokens = "# ours\nfirst-token\nsecond;token\n"});
  CHECK(port.get("/healthz")->status == 200);
  CHECK(port.get("/readyz")->status == 200);
  CHECK(port.get("/")->status == 200);
  for (const char* path : {"/api/v1/services", "/metrics", "/nothing", "/api/v1/flame?service=shop"}) {
    const auto refused = port.get(path);
    CHECK(refused->status == 401);
    CHECK(json::parse(refused->body)["error"]["code"] == "unauthenticated");
    CHECK(port.get(path, {{"Authorization", "Bearer wrong"}})->status == 401);
    CHECK(port.get(path, {{"Authorization", "Bearer # ours"}})->status == 401);
    CHECK(port.get(path, {{"Authorization", "Bearer "}})->status == 401);
    CHECK(port.get(path, {{"Cookie", "siprof_token="}})->status == 401);
  }
  CHECK(port.get("/api/v1/services", {{"Authorization", "Bearer first-token"}})->status == 200);
  CHECK(port.get("/api/v1/services", {{"Authorization", "bearer second;token"}})->status == 200);
}

TEST_CASE("login sets a cookie that is a token, and a revoked token ends") {
  Port port({.tokens = "second;token\n"});
  httplib::Client client("127.0.0.1", port.port());
  CHECK(client.Post("/login", httplib::Params{{"token", "wrong"}})->status == 401);
  CHECK(client.Post("/login", httplib::Params{})->status == 401);
  const auto login = client.Post("/login", httplib::Params{{"token", "second;token"}});
  REQUIRE(login->status == 204);
  const std::string cookie = login->get_header_value("Set-Cookie");
  CHECK(cookie.find("HttpOnly") != std::string::npos);
  CHECK(cookie.find("SameSite=Strict") != std::string::npos);
  const httplib::Headers with = {{"Cookie", "other=1; " + cookie.substr(0, cookie.find(';'))}};
  CHECK(port.get("/api/v1/services", with)->status == 200);
  port.set_tokens("another\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  CHECK(port.get("/api/v1/services", with)->status == 401);
  CHECK(port.get("/api/v1/services", {{"Authorization", "Bearer another"}})->status == 200);
}

TEST_CASE(
    "without tokens a request under a foreign name is refused, so that a web page can't read profiles") {
  Port port;
  for (const char* host :
       {"evil.example:9461", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", ""})
    CHECK(port.get("/api/v1/services", {{"Host", host}})->status == 400);
  for (const char* host : {"127.0.0.1:9461", "localhost", "[::1]:9461", "10.0.0.1", "LOCALHOST:1"})
    CHECK(port.get("/api/v1/services", {{"Host", host}})->status == 200);
}

TEST_CASE("listening beyond this machine needs tokens or the word insecure") {
  const auto parse = [](std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "siprof-collector");
    return parse_options(static_cast<int>(arguments.size()), arguments.data());
  };
  CHECK(parse({}).ok());
  CHECK(parse({"--http", "[::1]:0", "--grpc", "localhost:1"}).ok());
  CHECK(parse({"--http", "0.0.0.0:9461"}).status().message().find("--web-tokens") != std::string::npos);
  CHECK(parse({"--grpc", ":9460"}).status().message().find("--tokens") != std::string::npos);
  CHECK_FALSE(parse({"--grpc", "10.0.0.1:9460", "--web-tokens", "f"}).ok());
  CHECK(parse({"--grpc", "0.0.0.0:9460", "--tokens", "f"}).ok());
  CHECK(parse({"--http", "0.0.0.0:9461", "--insecure"}).ok());
  for (const auto& wrong : std::vector<std::vector<const char*>>{{"--http", "9461"},
                                                                 {"--http", "a:b"},
                                                                 {"--http", "::1:9461"},
                                                                 {"--http", "x:70000"},
                                                                 {"--nonsense"},
                                                                 {"--store-bytes", "ten"},
                                                                 {"--retention", "1w=2"},
                                                                 {"--tls-cert", "f"},
                                                                 {"--tls-client-ca", "f"},
                                                                 {"extra"}})
    CHECK(absl::IsInvalidArgument(parse(wrong).status()));
  const auto bytes = parse({"--store-bytes", "2GiB"});
  REQUIRE(bytes.ok());
  CHECK(std::get<Options>(*bytes).store_bytes == std::int64_t{2} << 30);
}

TEST_CASE("without a home the store's folder has to be given: nothing below /tmp is trusted") {
  const char* home = std::getenv("HOME");
  const std::string before = home != nullptr ? home : "/";
  const char* state = std::getenv("XDG_STATE_HOME");
  const std::string state_before = state != nullptr ? state : "";
  ::unsetenv("HOME");
  ::unsetenv("XDG_STATE_HOME");
  const char* arguments[] = {"siprof-collector", "--store", "/var/lib/siprof"};
  const auto without = parse_options(1, arguments);
  const auto with = parse_options(3, arguments);
  ::setenv("HOME", before.c_str(), 1);
  if (!state_before.empty()) ::setenv("XDG_STATE_HOME", state_before.c_str(), 1);
  CHECK(without.status().message().find("--store DIR") != std::string::npos);
  CHECK(with.ok());
}

}  // namespace
}  // namespace siprof::collector::test
