// SPDX-License-Identifier: Apache-2.0
// Parameters of the HTTP API: what is read, and what is refused with which words.
#include <catch2/catch.hpp>

#include "collector/http/time_expression.h"
#include "test/collector/http_support.h"

namespace siprof::collector::test {
namespace {

TEST_CASE("a wrong parameter is a 400 that says what to write") {
  Port port;
  port.fill();
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

}  // namespace
}  // namespace siprof::collector::test
