// SPDX-License-Identifier: Apache-2.0
// What the HTTP port serves besides the API: health, metrics, the dashboard's files.
#include <catch2/catch.hpp>

#include "collector/query/gzip.h"
#include "collector/web/assets.h"
#include "test/collector/http_support.h"

namespace siprof::collector::test {
namespace {

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

}  // namespace
}  // namespace siprof::collector::test
