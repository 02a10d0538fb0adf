// SPDX-License-Identifier: Apache-2.0
// Profiles into folders, by window and merged.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "absl/time/clock.h"
#include "collector-client/base/file_io.h"
#include "collector-client/export/exporters.h"
#include "collector-client/pprof/profile_builder.h"
#include "collector-client/pprof/summary.h"
#include "collector-client/pprof/validate.h"
#include "test/unit/collector-client/export/temporary_folder.h"
#include "test/unit/collector-client/pprof/sample_window.h"

namespace siprof::client {
namespace {

FinishedProfile finished(const std::string& service, std::int64_t start, std::int64_t value) {
  Window window = make_window(Kind::kCpu, start);
  window.samples.push_back(make_sample({{&kApp, 0x1010}}, {1, value}));
  window.counters = {{"taken", 1}};
  FakeFrames frames = make_frames();
  FinishedProfile profile;
  profile.pprof_gzip = *pack_profile(build_profiles(window, frames, {}).at(0));
  profile.kind = "cpu";
  profile.start = window.start;
  profile.duration = window.duration;
  profile.attributes = {{"service.name", service}};
  profile.counters = window.counters;
  return profile;
}

absl::StatusOr<std::unique_ptr<Exporter>> folder_exporter(const std::string& folder, bool merged) {
  ExporterSettings settings;
  settings.folder = {folder, merged, {"cpu", "heap", "metrics"}};
  return make_exporter(settings, nullptr);
}

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

perftools::profiles::Profile read_profile(const std::string& path) {
  return *unpack_profile(*read_file(path, 1 << 20));
}

}  // namespace

TEST_CASE("--output writes one file per service, kind and window") {
  const TemporaryFolder folder;
  auto exporter = folder_exporter(folder.path() + "/new/out", false);
  REQUIRE(exporter.ok());
  (*exporter)->submit(finished("a", 100, 5));
  (*exporter)->submit(finished("a", 110, 5));
  (*exporter)->submit(finished("a", 110, 7));  // another series, or the rest of a split window
  (*exporter)->submit(finished("../up", 100, 5));
  CHECK((*exporter)->flush(absl::Now()).ok());
  const std::string out = folder.path() + "/new/out";
  CHECK(exists(out + "/a/cpu-100.pb.gz"));
  CHECK(summarize(read_profile(out + "/a/cpu-110-1.pb.gz")).total == 7);
  CHECK(exists(out + "/_.._up/cpu-100.pb.gz"));
  CHECK((*exporter)->counters().at("export_written") == 4);
}

TEST_CASE("record writes one merged file per kind, replaces old ones and adds metrics.json") {
  const TemporaryFolder folder;
  REQUIRE(write_file_atomically(folder.path() + "/io.pb.gz", "of an earlier run").ok());
  REQUIRE(write_file_atomically(folder.path() + "/mine.txt", "stays").ok());
  auto exporter = folder_exporter(folder.path(), true);
  REQUIRE(exporter.ok());
  CHECK_FALSE(exists(folder.path() + "/io.pb.gz"));
  (*exporter)->submit(finished("a", 100, 5));
  (*exporter)->submit(finished("b", 110, 7));
  FinishedProfile broken = finished("a", 100, 5);
  broken.pprof_gzip = "nonsense";
  (*exporter)->submit(std::move(broken));
  REQUIRE((*exporter)->flush(absl::Now()).ok());
  const auto cpu = read_profile(folder.path() + "/cpu.pb.gz");
  CHECK(check_strict(cpu).ok());
  CHECK(summarize(cpu).total == 12);
  const auto heap = read_profile(folder.path() + "/heap.pb.gz");
  CHECK(check_strict(heap).ok());
  CHECK(heap.sample_type_size() == 4);
  CHECK(heap.sample().empty());
  CHECK_FALSE(exists(folder.path() + "/metrics.pb.gz"));
  CHECK(exists(folder.path() + "/mine.txt"));
  const auto metrics = nlohmann::json::parse(*read_file(folder.path() + "/metrics.json", 1 << 20));
  CHECK(metrics["kinds"]["cpu"]["counters"]["taken"] == 2);
  CHECK(metrics["kinds"]["cpu"]["profiles"] == 2);
  CHECK(metrics["kinds"]["heap"]["profiles"] == 0);
  CHECK(metrics["siprof"] == SIPROF_VERSION);
  CHECK(metrics["start"].get<double>() <= metrics["end"].get<double>());
  REQUIRE(metrics.contains("metrics"));
  CHECK(metrics["metrics"].is_array());  // asked for, and nobody was there to take them of
  CHECK(metrics["metrics"].empty());
  CHECK((*exporter)->counters().at("export_dropped") == 1);
}

TEST_CASE("a folder that cannot be used is refused at once, with its name") {
  const TemporaryFolder folder;
  REQUIRE(write_file_atomically(folder.path() + "/file", "x").ok());
  for (bool merged : {false, true}) {
    const auto exporter = folder_exporter(folder.path() + "/file", merged);
    REQUIRE_FALSE(exporter.ok());
    CHECK(std::string(exporter.status().message()).find("/file") != std::string::npos);
  }
}

}  // namespace siprof::client
