// SPDX-License-Identifier: Apache-2.0
// The HTTP port as docs/http-api.md has it: a real server on a port of its own.
#include "collector/http/http_server.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <prometheus/registry.h>
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "collector/http/time_expression.h"
#include "collector/options.h"
#include "collector/query/gzip.h"
#include "collector/web/assets.h"
#include "test/collector/store_support.h"

namespace siprof::collector::test {
namespace {

using nlohmann::json;

class Port {
 public:
  explicit Port(const std::string& tokens = "") : store_(dir_.path("store")) {
    HttpOptions options;
    options.port = 0;
    options.request_timeout = absl::Seconds(1);
    options.now_ns = [] { return kNowS * kSecondNs; };
    if (!tokens.empty()) {
      options.web_tokens_file = tokens_file();
      set_tokens(tokens);
    }
    auto started = HttpServer::start(options, *store_.reader, *store_.store, registry_);
    INFO(started.status().ToString());
    REQUIRE(started.ok());
    server_ = *std::move(started);
  }
  void set_tokens(const std::string& tokens) {
    std::ofstream(tokens_file()) << tokens;
    ::chmod(tokens_file().c_str(), 0600);
  }
  TestStore& store() { return store_; }
  int port() const { return server_->port(); }

  httplib::Result get(const std::string& path, const httplib::Headers& headers = {}) const {
    httplib::Client client("127.0.0.1", server_->port());
    client.set_url_encode(false);
    client.set_decompress(false);
    auto result = client.Get(path, headers);
    REQUIRE(result);
    return result;
  }
  json ok(const std::string& path) const {
    const auto result = get(path);
    INFO(path << " " << result->body);
    REQUIRE(result->status == 200);
    return json::parse(result->body);
  }
  // The message of an error answer with this status.
  std::string error(int status, const std::string& path) const {
    const auto result = get(path);
    INFO(path << " " << result->body);
    CHECK(result->status == status);
    return json::parse(result->body).at("error").at("message");
  }
  // Sends bytes as they are and returns what comes back until the server closes.
  std::string raw(const std::string& bytes) const;

 private:
  std::string tokens_file() const { return dir_.path("tokens"); }
  TempDir dir_;
  TestStore store_;
  prometheus::Registry registry_;
  std::unique_ptr<HttpServer> server_;
};

std::string Port::raw(const std::string& bytes) const {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(server_->port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  // The server may answer and close before it has read all.
  (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  const timeval patience{4, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::string answer;
  char buffer[4096];
  for (ssize_t got; (got = ::recv(fd, buffer, sizeof buffer, 0)) > 0;)
    answer.append(buffer, static_cast<std::size_t>(got));
  ::close(fd);
  return answer;
}

void fill(Port& port) {
  const std::map<std::string, std::string> v1 = {{"service.version", "1"}, {"host.name", "a"}};
  const std::map<std::string, std::string> v2 = {{"service.version", "2"}, {"host.name", "b"}};
  port.store().add({.start_s = kNowS - 100, .labels = v1}, "main;burn 600\nmain;idle 200");
  port.store().add({.start_s = kNowS - 50, .labels = v2}, "main;burn 100\nmain;idle 100");
  port.store().add({.start_s = kNowS - 5000, .labels = v1}, "main;burn 1\nmain;idle 3");
}

TEST_CASE("services lists what was recorded, and nothing in an empty store") {
  Port port;
  CHECK(port.ok("/api/v1/services") == json{{"services", json::array()}});
  fill(port);
  const json expected =
      json::parse(R"({"services": [{"service": "shop", "first": 1699995000, "last": 1699999950,
    "kinds": [{"kind": "cpu", "default_type": "cpu",
               "types": [{"type": "samples", "unit": "count"}, {"type": "cpu", "unit": "nanoseconds"}]}],
    "versions": ["1", "2"], "hosts": ["a", "b"]}]})");
  CHECK(port.ok("/api/v1/services") == expected);
}

TEST_CASE("labels and their values are those of service and range") {
  Port port;
  fill(port);
  CHECK(port.ok("/api/v1/labels?service=shop") ==
        json{{"labels", {"host.name", "service.name", "service.version"}}});
  CHECK(port.ok("/api/v1/labels/service.version?service=shop") ==
        json{{"label", "service.version"}, {"values", {"1", "2"}}});
  CHECK(port.ok("/api/v1/labels/service.version?service=shop&from=now-60s") ==
        json{{"label", "service.version"}, {"values", {"2"}}});
  CHECK(port.ok("/api/v1/labels?service=nobody") == json{{"labels", json::array()}});
}

TEST_CASE("series gives one value a step, split by a label") {
  Port port;
  fill(port);
  const json all = port.ok("/api/v1/series?service=shop&from=now-2m&step=60");
  CHECK(all["unit"] == "nanoseconds");
  CHECK(all["step"] == 60);
  CHECK(all["times"] == json{1699999860, 1699999920, 1699999980});
  CHECK(all["series"] == json::parse(R"([{"label": "", "total": 1000, "values": [800, 200, null]}])"));
  const json split =
      port.ok("/api/v1/series?service=shop&from=now-2m&step=60&by=service.version&type=samples");
  CHECK(split["unit"] == "count");
  CHECK(split["series"][0] == json::parse(R"({"label": "1", "total": 2, "values": [2, null, null]})"));
  CHECK(split["series"][1] == json::parse(R"({"label": "2", "total": 2, "values": [null, 2, null]})"));
  CHECK(port.ok("/api/v1/series?service=shop&from=now-1h")["step"] == 20);
  CHECK(port.ok("/api/v1/series?service=shop&from=1000&to=1060")["series"][0]["values"].size() == 6);
}

TEST_CASE("flame merges the selection and names the root after the service") {
  Port port;
  fill(port);
  const json flame = port.ok("/api/v1/flame?service=shop&match=service.version=1&match=service.version%3D2");
  CHECK(flame["total"] == 1000);
  CHECK(flame["profiles"] == 2);
  CHECK(flame["from"] == kNowS - 3600);
  CHECK(flame["to"] == kNowS);
  CHECK(flame["names"] == json{"shop", "main", "burn", "idle"});
  CHECK(flame["nodes"]["parent"] == json{-1, 0, 1, 1});
  CHECK(flame["nodes"]["total"] == json{1000, 1000, 700, 300});
  CHECK(port.ok("/api/v1/flame?service=shop&match=service.version=2")["total"] == 200);
  CHECK(port.ok("/api/v1/flame?service=shop&match=service.version=3")["total"] == 0);
  CHECK(port.ok("/api/v1/flame?service=shop&kind=heap")["unit"] == "bytes");
}

TEST_CASE("top has shares and those of the range before") {
  Port port;
  fill(port);
  const json top = port.ok("/api/v1/top?service=shop&limit=1");
  CHECK(top["total"] == 1000);
  REQUIRE(top["functions"].size() == 1);
  CHECK(top["functions"][0] ==
        json::parse(R"({"name": "burn", "file": "/src/burn.cpp", "self": 700, "total": 700,
    "self_share": 0.7, "total_share": 0.7, "before": {"self_share": 0.25, "total_share": 0.25}})"));
  CHECK(port.ok("/api/v1/top?service=shop&from=now-60s&sort=total")["functions"][0]["name"] == "main");
  CHECK(port.ok("/api/v1/top?service=shop&from=now-55s&to=now-45s")["functions"][0]["before"] == nullptr);
}

TEST_CASE("profile is a gzip pprof, or 404 where nothing was recorded") {
  Port port;
  fill(port);
  const auto answer = port.get("/api/v1/profile?service=shop");
  REQUIRE(answer->status == 200);
  CHECK(answer->get_header_value("Content-Type") == "application/octet-stream");
  perftools::profiles::Profile profile;
  REQUIRE(profile.ParseFromString(gunzip(answer->body)));
  CHECK(profile.sample_size() == 2);
  CHECK(profile.sample_type_size() == 2);
  port.error(404, "/api/v1/profile?service=shop&from=1000&to=2000");
  port.error(400, "/api/v1/profile?service=shop&type=wrong");
}

TEST_CASE("a wrong parameter is a 400 that says what to write") {
  Port port;
  fill(port);
  const std::string flame = "/api/v1/flame?service=shop&";
  CHECK(port.error(400, flame + "color=red").find("known are service, kind, type") != std::string::npos);
  CHECK(port.error(400, flame + "kind=gpu").find("cpu, wall, heap") != std::string::npos);
  CHECK(port.error(400, flame + "type=gpu").find("samples, cpu") != std::string::npos);
  CHECK(port.error(400, flame + "from=yesterday").find("RFC 3339") != std::string::npos);
  CHECK(port.error(400, flame + "from=now&to=now-1h").find("before") != std::string::npos);
  CHECK(port.error(400, "/api/v1/flame").find("service") != std::string::npos);
  CHECK(port.error(400, "/api/v1/series?service=shop&from=0&to=20000&step=1").find("10") !=
        std::string::npos);
  CHECK(port.error(400, "/api/v1/series?service=shop&from=now-365d&step=10").find("points") !=
        std::string::npos);
  for (const char* wrong : {"nodes=0",       "nodes=100001",
                            "nodes=-1",      "nodes=1e3",
                            "nodes=",        "from=0&to=9999999999",
                            "from=0",        "match=x",
                            "match==x",      "match=a%3",
                            "match=%",       "x%zz=1",
                            "service=again", "from=nan",
                            "from=-1",       "from=1e9",
                            "to=now-1x",     "from=%00",
                            "match=a%3D%ff", "from=now-99999999999y"})
    port.error(400, flame + wrong);
  port.error(404, "/api/v1/flame?service=nobody");
  port.error(404, "/api/v1/flames?service=shop");
}

TEST_CASE("no path leads to a file, and none brings the server down") {
  Port port;
  fill(port);
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
  for (const std::string& junk :
       {nul, std::string("\r\n\r\n"), std::string(50'000, 'A'), std::string("GET / HTTP/9.9\r\n\r\n"),
        std::string("\x16\x03\x01"), std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        std::string("GET  HTTP/1.1\r\n\r\n"),
        std::string("DELETE /api/v1/services HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        std::string("POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nx")})
    CHECK(port.raw(junk).find("HTTP/1.1 200") == std::string::npos);
  CHECK(port.ok("/api/v1/services")["services"].size() == 1);
}

TEST_CASE("health, readiness and metrics answer") {
  Port port;
  CHECK(port.get("/healthz")->body == "ok\n");
  CHECK(port.get("/readyz")->body == "ok\n");
  port.get("/api/v1/services");
  const auto metrics = port.get("/metrics");
  CHECK(metrics->get_header_value("Content-Type").starts_with("text/plain"));
  CHECK(metrics->body.find("siprof_http_requests_total{path=\"/api/v1/services\",status=\"200\"} 1") !=
        std::string::npos);
}

TEST_CASE("every dashboard file is served, compressed or not, under a strict policy") {
  Port port;
  REQUIRE_FALSE(assets().empty());
  for (const Asset& asset : assets()) {
    const auto plain = port.get(std::string(asset.path));
    const auto compressed = port.get(std::string(asset.path), {{"Accept-Encoding", "gzip, br"}});
    REQUIRE(plain->status == 200);
    CHECK(plain->get_header_value("Content-Encoding").empty());
    CHECK(compressed->get_header_value("Content-Encoding") == "gzip");
    CHECK(gunzip(compressed->body) == plain->body);
    CHECK(plain->get_header_value("Content-Type") == asset.content_type);
    CHECK(plain->get_header_value("X-Content-Type-Options") == "nosniff");
    CHECK(plain->get_header_value("Content-Security-Policy").find("default-src") != std::string::npos);
    CHECK(plain->get_header_value("Content-Security-Policy").find("unsafe") == std::string::npos);
    CHECK((plain->get_header_value("Cache-Control").find("immutable") != std::string::npos) ==
          asset.immutable);
  }
}

TEST_CASE("a large answer is compressed for who takes gzip") {
  Port port;
  std::string folded;
  for (int i = 0; i < 200; ++i) folded += "main;function_" + std::to_string(i) + " 5\n";
  port.store().add({}, folded);
  const auto plain = port.get("/api/v1/flame?service=shop");
  const auto compressed = port.get("/api/v1/flame?service=shop", {{"Accept-Encoding", "gzip"}});
  CHECK(compressed->get_header_value("Content-Encoding") == "gzip");
  CHECK(compressed->body.size() < plain->body.size() / 2);
  CHECK(gunzip(compressed->body) == plain->body);
}

TEST_CASE("with tokens only health and the page itself are free") {
  Port port("# ours\nfirst-token\nsecond;token\n");
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
  Port port("second;token\n");
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

TEST_CASE("a port that is taken is an error with the address in it") {
  Port port;
  HttpOptions options;
  options.port = port.port();
  prometheus::Registry registry;
  const auto second = HttpServer::start(options, *port.store().reader, *port.store().store, registry);
  REQUIRE_FALSE(second.ok());
  CHECK(second.status().message().find("127.0.0.1:" + std::to_string(port.port())) != std::string::npos);
}

TEST_CASE("times are read to the nanosecond and wrong ones are not read") {
  const std::int64_t now = kNowS * kSecondNs;
  CHECK(parse_time_ns("1700000000", now).value() == now);
  CHECK(parse_time_ns("1700000000.123456789", now).value() == now + 123'456'789);
  CHECK(parse_time_ns("1.5", now).value() == 1'500'000'000);
  CHECK(parse_time_ns("2023-11-14T22:13:20Z", now).value() == now);
  CHECK(parse_time_ns("2023-11-14T23:13:20.5+01:00", now).value() == now + kSecondNs / 2);
  CHECK(parse_time_ns("now", now).value() == now);
  CHECK(parse_time_ns("now-15m", now).value() == now - 900 * kSecondNs);
  for (const char* wrong :
       {"", " ", "-1", "+1", "1.", ".5", "1e5", "0x10", "now-", "now+1m", "now-m", "now-1", "infinite-past",
        "2023-11-14", "9999999999", "99999999999999999999", "2300-01-01T00:00:00Z", "1 "})
    CHECK_FALSE(parse_time_ns(wrong, now).ok());
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

}  // namespace
}  // namespace siprof::collector::test
