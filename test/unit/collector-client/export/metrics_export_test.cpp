// SPDX-License-Identifier: Apache-2.0
// Metrics on their way out: as messages to a collector, and as files.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "absl/time/clock.h"
#include "collector-client/base/file_io.h"
#include "collector-client/export/exporters.h"
#include "collector-client/export/metric_messages.h"
#include "collector-client/export/metrics_json.h"
#include "collector-client/export/stream_exporter.h"
#include "collector-client/metrics/metric_table.h"
#include "test/unit/collector-client/export/fake_collector.h"
#include "test/unit/collector-client/export/temporary_folder.h"

namespace siprof::client {
namespace {

FinishedMetrics window(std::int64_t start, double faults, double bytes) {
  return {absl::FromUnixSeconds(start),
          absl::Seconds(10),
          {{"service.name", "shop"}},
          {{&kPagingFaults, "minor", 7, faults},
           {&kMemoryUsage, "", 7, bytes},
           {&kContainerMemoryLimit, "/a", 0, 99}}};
}

StreamSettings settings_for(const std::string& url, const std::string& spool) {
  StreamSettings settings;
  settings.collector = url;
  settings.spool = spool;
  settings.first_retry = absl::Milliseconds(20);
  settings.last_retry = absl::Milliseconds(100);
  settings.answer_timeout = absl::Seconds(2);
  return settings;
}

absl::Time soon() {
  return absl::Now() + absl::Seconds(20);
}

TEST_CASE("a message says of each point what it is, of which process, and over which time") {
  const std::vector<v1::AgentMessage> messages = metric_messages(window(100, 5, 4096));
  REQUIRE(messages.size() == 1);
  const v1::Metrics& metrics = messages[0].metrics();
  CHECK(metrics.attributes().at("service.name") == "shop");
  REQUIRE(metrics.points_size() == 3);
  for (const v1::MetricPoint& point : metrics.points()) {
    CHECK(point.start_unix_nanos() == 100'000'000'000);
    CHECK(point.time_unix_nanos() == 110'000'000'000);
  }
  const v1::MetricPoint& faults = metrics.points(0);
  CHECK(faults.name() == "process.paging.faults");
  CHECK(faults.unit() == "{fault}");
  CHECK(faults.type() == v1::MetricPoint::COUNTER);
  CHECK(faults.value() == 5);
  CHECK(faults.labels().size() == 2);
  CHECK(faults.labels().at("pid") == "7");
  CHECK(faults.labels().at("system.paging.fault.type") == "minor");
  CHECK(metrics.points(1).type() == v1::MetricPoint::GAUGE);
  CHECK(metrics.points(1).labels().size() == 1);
  CHECK_FALSE(metrics.points(2).labels().contains("pid"));
  CHECK(metric_messages({}).empty());
}

TEST_CASE("many points are several messages, each of a size that is taken") {
  FinishedMetrics many = window(100, 0, 0);
  many.points.clear();
  const std::size_t label_bytes = GENERATE(5, 900);
  constexpr std::size_t kPoints = 45'000;
  for (std::size_t i = 0; i < kPoints; ++i)
    many.points.push_back({&kContainerCpuLimit, std::string(label_bytes, 'x'), 0, static_cast<double>(i)});
  double next = 0;
  for (const v1::AgentMessage& message : metric_messages(many)) {
    CHECK(message.ByteSizeLong() + 20 <= kMostMessageBytes + 200);
    CHECK(message.ByteSizeLong() < 4u << 20);
    CHECK(message.metrics().points_size() <= static_cast<int>(kMostMessagePoints));
    CHECK(message.metrics().attributes().size() == 1);
    for (const v1::MetricPoint& point : message.metrics().points()) {
      if (point.value() != next) FAIL("point " << next << " is missing");
      ++next;
    }
  }
  CHECK(next == kPoints);
}

TEST_CASE("metrics reach the collector once, whatever happens to answers and agents") {
  const TemporaryFolder spool;
  FakeCollector collector;
  collector.swallow_acks(true);
  {
    auto exporter = *make_stream_exporter(settings_for(collector.url(), spool.path()), nullptr);
    for (int i = 0; i < 3; ++i) exporter->submit(window(100 + 10 * i, i, i));
    CHECK_FALSE(exporter->flush(absl::Now() + absl::Milliseconds(500)).ok());  // stored, and nobody said so
  }
  CHECK(collector.take_store().metrics.size() == 3);
  collector.swallow_acks(false);
  auto exporter = *make_stream_exporter(settings_for(collector.url(), spool.path()), nullptr);
  exporter->submit(window(130, 3, 3));
  REQUIRE(exporter->flush(soon()).ok());
  const std::vector<v1::Metrics> stored = collector.take_store().metrics;
  REQUIRE(stored.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) CHECK(stored[i].points(0).value() == static_cast<double>(i));
  CHECK(collector.duplicates() == 3);
}

TEST_CASE("metrics wait on disk while there is no collector") {
  const TemporaryFolder spool;
  int port = 0;
  {
    const FakeCollector collector;
    port = collector.port();
  }
  auto exporter =
      *make_stream_exporter(settings_for("http://127.0.0.1:" + std::to_string(port), spool.path()), nullptr);
  for (int i = 0; i < 3; ++i) exporter->submit(window(100 + 10 * i, i, i));
  CHECK_FALSE(exporter->flush(absl::Now() + absl::Milliseconds(200)).ok());
  CHECK(exporter->counters().at("spool_waiting") == 3);
  FakeCollector collector(port);
  REQUIRE(exporter->flush(soon()).ok());
  CHECK(collector.take_store().metrics.size() == 3);
}

TEST_CASE("a collector that takes no metrics costs no profile, and they are counted apart") {
  const TemporaryFolder spool;
  FakeCollector collector;
  collector.reject_metrics("metrics are not stored by this version");
  auto exporter = *make_stream_exporter(settings_for(collector.url(), spool.path()), nullptr);
  for (int i = 0; i < 3; ++i) {
    exporter->submit(window(100 + 10 * i, i, i));
    FinishedProfile profile;
    profile.kind = "cpu";
    profile.pprof_gzip = std::to_string(i);
    exporter->submit(std::move(profile));
  }
  REQUIRE(exporter->flush(soon()).ok());
  CHECK(collector.stored_in_order() == std::vector<std::string>{"0", "1", "2"});
  CHECK(exporter->counters().at("metrics_rejected") == 3);
  CHECK_FALSE(exporter->counters().contains("spool_rejected"));
  CHECK(exporter->counters().at("spool_acknowledged") == 3);
  CHECK(exporter->counters().at("export_connect_failures") == 0);
  CHECK(exporter->counters().at("spool_waiting") == 0);
}

TEST_CASE("--output writes a file of metrics a window") {
  const TemporaryFolder folder;
  ExporterSettings settings;
  settings.folder = {folder.path(), false, {}};
  auto exporter = *make_exporter(settings, nullptr);
  exporter->submit(window(100, 5, 4096));
  exporter->submit(window(100, 6, 8192));  // of another series of the service
  REQUIRE(exporter->flush(absl::Now()).ok());
  const auto json = nlohmann::json::parse(*read_file(folder.path() + "/shop/metrics-100.json", 1 << 20));
  CHECK(json["start"] == 100);
  CHECK(json["end"] == 110);
  CHECK(json["attributes"]["service.name"] == "shop");
  REQUIRE(json["metrics"].size() == 3);
  nlohmann::json point = nlohmann::json::object();
  point["start"] = 100;
  point["time"] = 110;
  point["service"] = "shop";
  point["labels"]["pid"] = "7";
  point["labels"]["system.paging.fault.type"] = "minor";
  point["value"] = 5;
  nlohmann::json faults = nlohmann::json::object();
  faults["name"] = "process.paging.faults";
  faults["unit"] = "{fault}";
  faults["type"] = "counter";
  faults["points"] = nlohmann::json::array({point});
  CHECK(json["metrics"][2] == faults);
  CHECK(access((folder.path() + "/shop/metrics-100-1.json").c_str(), F_OK) == 0);
}

TEST_CASE("record has the metrics of the whole run in metrics.json, or null where they are off") {
  const TemporaryFolder folder;
  ExporterSettings settings;
  settings.folder = {folder.path(), true, {"cpu"}};
  const bool on = GENERATE(true, false);
  if (on) settings.folder.kinds.emplace_back("metrics");
  auto exporter = *make_exporter(settings, nullptr);
  exporter->submit(window(100, 5, 4096));
  exporter->submit(window(110, 6, 8192));
  REQUIRE(exporter->flush(absl::Now()).ok());
  const auto json = nlohmann::json::parse(*read_file(folder.path() + "/metrics.json", 1 << 20));
  if (!on) {
    CHECK(json["metrics"].is_null());
    return;
  }
  REQUIRE(json["metrics"].size() == 3);
  CHECK(json["metrics"][1]["name"] == "process.memory.usage");
  CHECK(json["metrics"][1]["type"] == "gauge");
  CHECK(json["metrics"][1]["points"].size() == 2);
  CHECK(json["metrics"][1]["points"][1]["value"] == 8192);
  CHECK(json["metrics"][1]["points"][1]["time"] == 120);
  CHECK_FALSE(json.contains("metric_points_dropped"));
}

TEST_CASE("a long run has coarser points, and loses no increase") {
  MetricsJson json(100);
  for (int i = 0; i < 1000; ++i) json.add(window(100 + 10 * i, 1, i));
  const nlohmann::json list = json.list();
  std::size_t points = 0;
  double sum = 0;
  for (const nlohmann::json& metric : list) {
    points += metric["points"].size();
    double last_end = 100;
    for (const nlohmann::json& point : metric["points"]) {
      CHECK(point["start"] == last_end);  // no gap, no overlap
      last_end = point["time"];
      if (metric["type"] == "counter") sum += point["value"].get<double>();
    }
    CHECK(last_end == 10'100);
  }
  CHECK(points <= 100);
  CHECK(sum == 1000);
  CHECK(list[1]["points"].back()["value"] == 999);
  CHECK(json.dropped() == 0);
}

TEST_CASE("more processes than there is room for are counted") {
  MetricsJson json(10);
  for (pid_t pid = 1; pid <= 50; ++pid)
    json.add({absl::FromUnixSeconds(100), absl::Seconds(10), {}, {{&kMemoryUsage, "", pid, 1}}});
  CHECK(json.list()[0]["points"].size() == 10);
  CHECK(json.dropped() == 40);
}

}  // namespace
}  // namespace siprof::client
