// SPDX-License-Identifier: Apache-2.0
// What /api/v1 answers, as docs/http-api.md has it.
#include <catch2/catch.hpp>

#include "collector/query/gzip.h"
#include "profile.pb.h"
#include "test/collector/http_support.h"

namespace siprof::collector::test {
namespace {

using nlohmann::json;

TEST_CASE("services lists what was recorded, and nothing in an empty store") {
  Port port;
  CHECK(port.ok("/api/v1/services") == json{{"services", json::array()}});
  port.fill();
  const json expected =
      json::parse(R"({"services": [{"service": "shop", "first": 1699995000, "last": 1699999950,
    "kinds": [{"kind": "cpu", "default_type": "cpu",
               "types": [{"type": "samples", "unit": "count"}, {"type": "cpu", "unit": "nanoseconds"}]}],
    "versions": ["1", "2"], "hosts": ["a", "b"]}]})");
  CHECK(port.ok("/api/v1/services") == expected);
}

TEST_CASE("labels and their values are those of service and range") {
  Port port;
  port.fill();
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
  port.fill();
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
  port.fill();
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
  CHECK(flame["counters"] == json{{"samples", 6}});
  CHECK(port.ok("/api/v1/flame?service=shop&labels=1")["total"] == 1000);
}

TEST_CASE("top has shares and those of the range before") {
  Port port;
  port.fill();
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
  port.fill();
  const auto answer = port.get("/api/v1/profile?service=shop");
  REQUIRE(answer->status == 200);
  CHECK(answer->get_header_value("Content-Type") == "application/octet-stream");
  perftools::profiles::Profile profile;
  REQUIRE(profile.ParseFromString(gunzip(answer->body)));
  CHECK(profile.sample_size() == 2);
  CHECK(profile.sample_type_size() == 2);
  REQUIRE(profile.comment_size() == 1);
  CHECK(profile.string_table(static_cast<int>(profile.comment(0))) == "siprof.samples=6");
  port.error(404, "/api/v1/profile?service=shop&from=1000&to=2000");
  port.error(400, "/api/v1/profile?service=shop&type=wrong");
}

}  // namespace
}  // namespace siprof::collector::test
