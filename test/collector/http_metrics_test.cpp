// SPDX-License-Identifier: Apache-2.0
// What /api/v1/metrics answers, as docs/http-api.md has it, and what it refuses.
#include <catch2/catch.hpp>

#include "test/collector/http_support.h"

namespace siprof::collector::test {
namespace {

using nlohmann::json;

// Two processes in the last two minutes, of which one ends; a second host in the second one.
void fill(Port& port) {
  const std::map<std::string, std::string> a = {{"host.name", "a"}}, b = {{"host.name", "b"}};
  TestStore& store = port.store();
  store.add(MetricsSpec{.start_s = kNowS - 120, .attributes = a},
            {memory(1000), memory(500, "23"), faults(30)});
  store.add(MetricsSpec{.start_s = kNowS - 110, .attributes = a}, {memory(2000), faults(10, "17", "major")});
  store.add(MetricsSpec{.agent = std::string(32, 'b'), .start_s = kNowS - 60, .attributes = b},
            {memory(4000), faults(50)});
}

TEST_CASE("metrics without a name lists what the selection has") {
  Port port;
  port.fill();
  CHECK(port.ok("/api/v1/metrics?service=shop") ==
        json{{"service", "shop"}, {"from", kNowS - 3600}, {"to", kNowS}, {"metrics", json::array()}});
  fill(port);
  CHECK(port.ok("/api/v1/metrics?service=shop")["metrics"] ==
        json::parse(R"([{"name": "process.memory.usage", "unit": "By", "type": "gauge"},
                        {"name": "process.paging.faults", "unit": "{fault}", "type": "counter"}])"));
  CHECK(port.ok("/api/v1/metrics?service=shop&match=host.name=c")["metrics"] == json::array());
  CHECK(port.ok("/api/v1/metrics?service=shop&from=now-3h&to=now-2h")["metrics"] == json::array());
}

TEST_CASE("a gauge has means and maxima") {
  Port port;
  fill(port);
  const json all = port.ok("/api/v1/metrics?service=shop&name=process.memory.usage&from=now-2m&step=60");
  json expected = json::parse(R"({"service": "shop", "name": "process.memory.usage", "unit": "By",
    "type": "gauge", "step": 60, "times": [1699999860, 1699999920, 1699999980],
    "series": [{"label": "", "total": 2875.0, "values": [1750.0, 4000.0, null], "max": [2000.0, 4000.0, null]}]})");
  expected["from"] = kNowS - 120;
  expected["to"] = kNowS;
  CHECK(all == expected);
  const json by_host = port.ok(
      "/api/v1/metrics?service=shop&name=process.memory.usage&from=now-2m&step=60&by=host.name")["series"];
  REQUIRE(by_host.size() == 2);
  CHECK(by_host[0] == json::parse(R"({"label": "b", "total": 4000.0, "values": [null, 4000.0, null],
                                      "max": [null, 4000.0, null]})"));
  const json one = port.ok(
      "/api/v1/metrics?service=shop&name=process.memory.usage&match=pid=23&from=now-2m&step=60")["series"];
  CHECK(one[0]["values"] == json{500.0, nullptr, nullptr});
}

TEST_CASE("a counter has sums and rates") {
  Port port;
  fill(port);
  const json all = port.ok("/api/v1/metrics?service=shop&name=process.paging.faults&from=now-2m&step=60");
  CHECK(all["type"] == "counter");
  CHECK(all["unit"] == "{fault}");
  CHECK(all["series"] == json::parse(R"([{"label": "", "total": 90.0, "values": [40.0, 50.0, null],
                                          "rate": [2.0, 5.0, null]}])"));
  const json split = port.ok(
      "/api/v1/"
      "metrics?service=shop&name=process.paging.faults&from=now-2m&step=60&by=process.paging.fault_type");
  REQUIRE(split["series"].size() == 2);
  CHECK(split["series"][0]["label"] == "minor");
  CHECK(split["series"][1]["total"] == 10);
}

TEST_CASE("a metric without data in the range is a line of gaps, an unknown one names the known") {
  Port port;
  fill(port);
  const json empty = port.ok("/api/v1/metrics?service=shop&name=process.memory.usage&from=1000&to=1060");
  CHECK(empty["unit"] == "By");
  CHECK(empty["series"] == json::parse(R"([{"label": "", "total": 0.0,
    "values": [null, null, null, null, null, null], "max": [null, null, null, null, null, null]}])"));
  CHECK(
      port.ok("/api/v1/metrics?service=shop&name=process.memory.usage&by=pid&from=1000&to=1060")["series"] ==
      json::array());
  CHECK(port.error(400, "/api/v1/metrics?service=shop&name=process.memory")
            .find("write one of process.memory.usage, process.paging.faults") != std::string::npos);
  port.store().add(ProfileSpec{.service = "old"}, "main 1");
  CHECK(port.error(400, "/api/v1/metrics?service=old&name=x").find("has sent no metrics") !=
        std::string::npos);
}

TEST_CASE("wrong parameters of metrics are a 400 that says what to write") {
  Port port;
  fill(port);
  const std::string metrics = "/api/v1/metrics?service=shop&";
  CHECK(port.error(400, metrics + "kind=cpu").find("known are service, name, from, to, match, step, by") !=
        std::string::npos);
  CHECK(port.error(400, "/api/v1/metrics").find("parameter service: it is required") == 0);
  CHECK(port.error(400, metrics + "name=").find("process.memory.usage, or leave it out") !=
        std::string::npos);
  CHECK(port.error(400, metrics + "by=pid").find("parameter by: it needs `name`") == 0);
  CHECK(port.error(400, metrics + "step=60").find("parameter step: it needs `name`") == 0);
  for (const char* wrong : {"name=a&name=b", "name=%00", "name=a%ff", "name=m&step=1", "name=m&step=x",
                            "name=m&from=now-365d&step=10", "name=m&match=x", "from=now&to=now-1h"})
    port.error(400, metrics + wrong);
  port.error(404, "/api/v1/metrics?service=nobody");
  port.error(404, "/api/v1/metrics?service=nobody&name=process.memory.usage");
}

}  // namespace
}  // namespace siprof::collector::test
