// SPDX-License-Identifier: Apache-2.0
// Runtime metrics over a stream: what is taken, what is refused with which reason, and when it is answered.
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "collector/ingest/metrics_intake.h"
#include "collector/ingest/profile_intake.h"
#include "test/collector/ingest_support.h"

namespace siprof::collector {
namespace {

using Change = std::function<void(v1::Metrics&)>;
using PointChange = std::function<void(v1::MetricPoint&)>;

absl::Status refusal(const Change& change) {
  v1::Metrics metrics = sample_metrics(1);
  change(metrics);
  return take_in(metrics, kAgentId, {}, absl::Now()).status();
}

// Of the third point, a counter.
std::string reason(const PointChange& change) {
  return std::string(refusal([&](v1::Metrics& m) { change(*m.mutable_points(2)); }).message());
}

void for_all(v1::Metrics& metrics, const PointChange& change) {
  for (v1::MetricPoint& point : *metrics.mutable_points()) change(point);
}

TEST_CASE("metrics are read with everything that was sent") {
  const v1::Metrics sent = sample_metrics(9);
  const auto taken = take_in(sent, kAgentId, {}, absl::Now());
  INFO(taken.status());
  REQUIRE(taken.ok());
  CHECK(taken->agent_id == kAgentId);
  CHECK(taken->sequence == 9);
  CHECK(taken->start_unix_ns == sent.points(0).start_unix_nanos());
  CHECK(taken->duration_ns == 10'000'000'000);
  CHECK(taken->attributes == std::map<std::string, std::string>{{"service.name", "shop"}});
  REQUIRE(taken->points.size() == 6);
  CHECK(taken->points[0].metric == MetricName{"process.memory.usage", "By", MetricType::kGauge});
  CHECK(taken->points[0].value == 4096);
  CHECK(taken->points[2].metric == MetricName{"process.cpu.time", "s", MetricType::kCounter});
  CHECK(taken->points[2].labels == std::map<std::string, std::string>{{"cpu.mode", "system"}, {"pid", "17"}});
}

TEST_CASE("names and units are OpenTelemetry's, and any such is taken") {
  for (const char* name : {"cpython.gc.pause", "a", "A/b-c_d.9"})
    CHECK(reason([name](v1::MetricPoint& p) { p.set_name(name); }).empty());
  CHECK(reason([](v1::MetricPoint& p) { p.set_name(std::string(255, 'a')); }).empty());
  for (const char* name : {"", "9lives", ".a", "a b", "a\nb", "prozess.größe", "a\"b"})
    CHECK(absl::StartsWith(reason([name](v1::MetricPoint& p) { p.set_name(name); }), "a metric's name is"));
  CHECK(absl::StartsWith(reason([](v1::MetricPoint& p) { p.set_name(std::string(256, 'a')); }),
                         "a metric's name is"));
  // Both points of the metric: one alone would be a second unit.
  const auto with_unit = [](const std::string& unit) {
    return refusal(
        [&unit](v1::Metrics& m) { for_all(m, [&unit](v1::MetricPoint& p) { p.set_unit(unit); }); });
  };
  for (const char* unit : {"", "1", "By", "{fault}", "By/s", "%"}) CHECK(with_unit(unit).ok());
  for (const std::string& unit :
       {std::string("k B"), std::string("\n"), std::string("µs"), std::string(64, 'x')})
    CHECK(absl::StrContains(with_unit(unit).message(), "has a unit that isn't"));
}

TEST_CASE("values are finite, and what is counted never goes down") {
  for (const double value :
       {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e31, -1e31, std::numeric_limits<double>::max()})
    CHECK(reason([value](v1::MetricPoint& p) { p.set_value(value); }) ==
          "metric process.cpu.time has no finite value of at most 1e30");
  CHECK(reason([](v1::MetricPoint& p) { p.set_value(-1); }) ==
        "metric process.cpu.time is a counter with a negative increase");
  CHECK(reason([](v1::MetricPoint& p) { p.set_value(0); }).empty());
  CHECK(refusal([](v1::Metrics& m) { m.mutable_points(0)->set_value(-4.5); }).ok());  // a gauge may
  for (const int type : {0, 3, -1})
    CHECK(reason([type](v1::MetricPoint& p) { p.set_type(static_cast<v1::MetricPoint::Type>(type)); }) ==
          "metric process.cpu.time is neither gauge nor counter");
}

TEST_CASE("a message is one window, within the bounds that profiles have") {
  CHECK(
      absl::StrContains(reason([](v1::MetricPoint& p) { p.set_start_unix_nanos(p.start_unix_nanos() - 1); }),
                        "the same start_unix_nanos and time_unix_nanos"));
  CHECK(absl::StrContains(reason([](v1::MetricPoint& p) { p.set_time_unix_nanos(p.time_unix_nanos() + 1); }),
                          "the same start_unix_nanos and time_unix_nanos"));
  const auto shifted = [](std::int64_t start_by, std::int64_t end_by) {
    return refusal([=](v1::Metrics& m) {
      for_all(m, [=](v1::MetricPoint& p) {
        p.set_start_unix_nanos(p.start_unix_nanos() + start_by);
        p.set_time_unix_nanos(p.time_unix_nanos() + end_by);
      });
    });
  };
  constexpr std::int64_t kHour = 3'600'000'000'000;
  CHECK(shifted(0, 0).ok());
  CHECK(absl::StrContains(shifted(0, -10'000'000'000).message(), "has to be after start_unix_nanos"));
  CHECK(absl::StrContains(shifted(-25 * kHour, 0).message(), "has to be after start_unix_nanos"));
  CHECK(absl::IsOutOfRange(shifted(-49 * kHour, -49 * kHour)));
  CHECK(absl::IsOutOfRange(shifted(kHour, kHour)));
  for (const std::int64_t edge : {std::numeric_limits<std::int64_t>::min(), std::int64_t{0},
                                  std::numeric_limits<std::int64_t>::max()}) {
    CHECK_FALSE(refusal([=](v1::Metrics& m) {
                  for_all(m, [=](v1::MetricPoint& p) { p.set_start_unix_nanos(edge); });
                }).ok());
    CHECK_FALSE(refusal([=](v1::Metrics& m) {
                  for_all(m, [=](v1::MetricPoint& p) { p.set_time_unix_nanos(edge); });
                }).ok());
  }
}

TEST_CASE("a point comes once, and a metric has one unit and type") {
  CHECK(refusal([](v1::Metrics& m) { *m.add_points() = m.points(1); }).message() ==
        "metric process.cpu.time comes twice with the same labels");
  CHECK(reason([](v1::MetricPoint& p) { p.set_unit("ms"); }) ==
        "metric process.cpu.time has two units or types");
  CHECK(reason([](v1::MetricPoint& p) { p.set_type(v1::MetricPoint::GAUGE); }) ==
        "metric process.cpu.time has two units or types");
}

TEST_CASE("counts and texts are bounded") {
  const auto many = [](int points) {
    return refusal([points](v1::Metrics& m) {
      const v1::MetricPoint first = m.points(0);
      m.clear_points();
      for (int i = 0; i < points; ++i) {
        *m.add_points() = first;
        (*m.mutable_points(i)->mutable_labels())["pid"] = absl::StrCat(i);
      }
    });
  };
  CHECK(many(kMaxMetricPoints).ok());
  CHECK(many(kMaxMetricPoints + 1).message() == "more than 20000 points: split the message");
  CHECK(refusal_class(many(kMaxMetricPoints + 1)) == "too_large");
  CHECK(many(0).message() == "metrics without a point");
  const auto label = [](const std::string& name, const std::string& value) {
    return reason([&](v1::MetricPoint& p) { (*p.mutable_labels())[name] = value; });
  };
  CHECK(label(std::string(128, 'n'), std::string(512, 'v')).empty());
  CHECK(label("", "").find("has a label") != std::string::npos);
  CHECK(label(std::string(129, 'n'), "").find("has a label") != std::string::npos);
  CHECK(label("n", std::string(513, 'v')).find("has a label") != std::string::npos);
  CHECK(label("n", "\xff").find("isn't UTF-8") != std::string::npos);
  CHECK(label("\xc0\x80", "").find("isn't UTF-8") != std::string::npos);
  CHECK(reason([](v1::MetricPoint& p) {
          for (int i = 0; i < 17; ++i) (*p.mutable_labels())[absl::StrCat("l", i)] = "";
        }).find("more than 16 labels") != std::string::npos);
  const absl::Status heavy = refusal([](v1::Metrics& m) {
    const v1::MetricPoint first = m.points(0);
    for (int i = 0; i < 10'000; ++i) {
      *m.add_points() = first;
      (*m.mutable_points(m.points_size() - 1)->mutable_labels())["x"] =
          absl::StrCat(i, std::string(450, 'x'));
    }
  });
  CHECK(heavy.message() == "metrics of more than 4194304 bytes: split the message");
}

TEST_CASE("what surrounds the points is checked as with profiles") {
  CHECK(refusal([](v1::Metrics& m) { m.set_sequence(0); }).message() == "sequence numbers start at 1");
  CHECK(refusal([](v1::Metrics& m) { m.clear_attributes(); }).message() ==
        "attribute service.name is missing");
  CHECK(absl::StartsWith(
      refusal([](v1::Metrics& m) { (*m.mutable_attributes())["x"] = std::string(3'000, 'x'); }).message(),
      "attribute x is"));
}

TEST_CASE("metrics are acknowledged after the store has them, in order with the profiles around them") {
  TestServer server;
  TestAgent agent(server.channel());
  agent.greet();
  server.store.hold();
  REQUIRE(agent.send(sample_profile(1)));
  REQUIRE(agent.send(sample_metrics(2)));
  REQUIRE(agent.send(sample_profile(3)));
  REQUIRE(agent.send(sample_metrics(4)));
  REQUIRE(eventually([&] { return server.counter("siprof_ingest_metrics_received_total") == 2; }));
  CHECK(server.counter("siprof_ingest_metrics_stored_total") == 0);
  server.store.release();
  for (const std::uint64_t sequence : {1, 2, 3, 4}) {
    const v1::Ack ack = agent.next_ack();
    CHECK(ack.sequence() == sequence);
    CHECK(ack.result() == v1::Ack::STORED);
  }
  CHECK(agent.close().ok());
  CHECK(server.store.stored() == 2);
  REQUIRE(server.store.metrics().size() == 2);
  CHECK(server.store.metrics().front().points.size() == 6);
  CHECK(server.counter("siprof_ingest_metrics_stored_total") == 2);
  CHECK(server.counter("siprof_ingest_metric_points_total") == 12);
  CHECK(server.counter("siprof_ingest_profiles_stored_total") == 2);
}

TEST_CASE("metrics that are delivered twice count once, on the same stream and on a new one") {
  TestServer server;
  for (const auto expected : {v1::Ack::STORED, v1::Ack::DUPLICATE}) {
    TestAgent agent(server.channel());
    agent.greet();
    REQUIRE(agent.send(sample_metrics(1)));
    CHECK(agent.next_ack().result() == expected);
    REQUIRE(agent.send(sample_metrics(1)));
    CHECK(agent.next_ack().result() == v1::Ack::DUPLICATE);
    CHECK(agent.close().ok());
  }
  CHECK(server.store.metrics().size() == 1);
  CHECK(server.counter("siprof_ingest_metrics_duplicate_total") == 3);
}

TEST_CASE("wrong metrics are rejected with a reason and the stream goes on") {
  TestServer server;
  TestAgent agent(server.channel());
  agent.greet();
  v1::Metrics broken = sample_metrics(5);
  broken.mutable_points(0)->set_value(std::nan(""));
  REQUIRE(agent.send(broken));
  const v1::Ack ack = agent.next_ack();
  CHECK(ack.sequence() == 5);
  CHECK(ack.result() == v1::Ack::REJECTED);
  CHECK(ack.reason() == "metric process.memory.usage has no finite value of at most 1e30");
  CHECK(server.counter("siprof_ingest_metrics_rejected_total", "invalid") == 1);
  REQUIRE(agent.send(sample_metrics(6)));
  CHECK(agent.next_ack().result() == v1::Ack::STORED);
}

TEST_CASE("metrics with a text that isn't UTF-8 are rejected by their number, and the stream goes on") {
  TestServer server;
  TestAgent agent(server.channel());
  agent.greet();
  v1::Metrics broken = sample_metrics(5);
  (*broken.mutable_points(0)->mutable_labels())["path"] = "\xff\xfe";
  REQUIRE(agent.send(broken));
  const v1::Ack ack = agent.next_ack();
  CHECK(ack.sequence() == 5);
  CHECK(ack.result() == v1::Ack::REJECTED);
  CHECK(ack.reason() == "metrics that can't be read: a text isn't UTF-8, or they are malformed");
  REQUIRE(agent.send(sample_metrics(6)));
  CHECK(agent.next_ack().result() == v1::Ack::STORED);
  CHECK(server.store.metrics().size() == 1);
}

TEST_CASE("the number of metrics is found in whole messages of metrics alone") {
  v1::AgentMessage message;
  *message.mutable_metrics() = sample_metrics(77);
  const std::string bytes = message.SerializeAsString();
  CHECK(sequence_of_metrics(bytes) == 77);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut)
    CHECK_FALSE(sequence_of_metrics(bytes.substr(0, cut)).has_value());
  *message.mutable_profile() = sample_profile(78);
  CHECK_FALSE(sequence_of_metrics(message.SerializeAsString()).has_value());
  CHECK_FALSE(sequence_of_metrics("not a message").has_value());
}

TEST_CASE("a store that can't write metrics ends the stream without an ack; sent again, nothing is lost") {
  TestServer server;
  server.store.fail_with(absl::ResourceExhaustedError("disk full"));
  {
    TestAgent agent(server.channel());
    agent.greet();
    REQUIRE(agent.send(sample_metrics(1)));
    REQUIRE(agent.send(sample_profile(2)));
    CHECK_FALSE(agent.receive().has_value());
    CHECK(agent.status().error_code() == grpc::StatusCode::UNAVAILABLE);
  }
  server.store.fail_with(absl::OkStatus());
  TestAgent agent(server.channel());
  agent.greet();
  REQUIRE(agent.send(sample_metrics(1)));
  CHECK(agent.next_ack().result() == v1::Ack::STORED);
  REQUIRE(agent.send(sample_profile(2)));
  CHECK(agent.next_ack().result() == v1::Ack::STORED);
  server.store.fail_with(absl::OutOfRangeError("older than the retention"));
  REQUIRE(agent.send(sample_metrics(3)));
  CHECK(agent.next_ack().reason() == "older than the retention");
  CHECK(server.counter("siprof_ingest_metrics_rejected_total", "store") == 1);
}

TEST_CASE("metrics fill the same queue as profiles: when it is full no stream is read") {
  IngestOptions options;
  options.max_queue_bytes = 20'000;
  options.batch_profiles = 8;
  TestServer server(options);
  server.store.hold();
  constexpr std::uint64_t kMessages = 200;
  TestAgent agent(server.channel());
  agent.greet();
  for (std::uint64_t sequence = 1; sequence <= kMessages; ++sequence)
    REQUIRE(agent.send(sample_metrics(sequence)));
  absl::SleepFor(absl::Milliseconds(300));
  CHECK(server.counter("siprof_ingest_metrics_received_total") < 60);
  CHECK(server.counter("siprof_ingest_queue_bytes") < 40'000);
  server.store.release();
  for (std::uint64_t sequence = 1; sequence <= kMessages; ++sequence) {
    const v1::Ack ack = agent.next_ack();
    REQUIRE(ack.sequence() == sequence);
    REQUIRE(ack.result() == v1::Ack::STORED);
  }
  CHECK(agent.close().ok());
  CHECK(server.store.metrics().size() == kMessages);
}

}  // namespace
}  // namespace siprof::collector
