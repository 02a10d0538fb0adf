// SPDX-License-Identifier: Apache-2.0
// What the tests of store, queries and HTTP share: profiles from folded stacks,
// a folder that goes away, a store with a clock of its own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "collector/store/sqlite/sqlite_reader.h"
#include "collector/store/sqlite/sqlite_store.h"
#include "collector/store/store.h"

namespace siprof::collector::test {

inline constexpr std::int64_t kSecondNs = 1'000'000'000;
inline constexpr std::int64_t kNowS = 1'700'000'000;  // Tuesday, 22:13:20 UTC

class TempDir {
 public:
  TempDir();
  ~TempDir();
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

struct ProfileSpec {
  std::string agent = "0123456789abcdef0123456789abcdef";
  std::uint64_t sequence = 1;
  std::int64_t start_s = kNowS - 60;
  std::string service = "shop";
  std::map<std::string, std::string> labels = {};
  std::string kind = "cpu";
  std::map<std::string, std::uint64_t> counters = {{"samples", 3}};
};

// A window of ten seconds, of one process unless points say otherwise.
struct MetricsSpec {
  std::string agent = "0123456789abcdef0123456789abcdef";
  std::uint64_t sequence = 1;
  std::int64_t start_s = kNowS - 60;
  std::int64_t seconds = 10;
  std::string service = "shop";
  std::map<std::string, std::string> attributes = {};
};

IncomingMetrics make_metrics(const MetricsSpec& spec, std::vector<MetricPoint> points);
// process.memory.usage in By, and process.paging.faults in {fault}, of a process.
MetricPoint memory(double value, const std::string& pid = "17");
MetricPoint faults(double value, const std::string& pid = "17", const std::string& type = "minor");

// `folded`: lines of "main;a;b 10", outermost first. Types of cpu: samples/count
// (1 a line) and cpu/nanoseconds (the number); of heap: inuse_space/bytes. "main;a;@call=read 10": a label.
IncomingProfile make_profile(const ProfileSpec& spec, const std::string& folded);

// Adds its own sequence number to each profile.
class TestStore {
 public:
  explicit TestStore(const std::string& dir, std::int64_t max_bytes = 0);
  absl::StatusOr<Stored> write(const ProfileSpec& spec, const std::string& folded);
  // The same, numbered by itself and checked to be new.
  void add(ProfileSpec spec, const std::string& folded);
  absl::StatusOr<Stored> write(const MetricsSpec& spec, const std::vector<MetricPoint>& points);
  void add(MetricsSpec spec, const std::vector<MetricPoint>& points);

  std::int64_t now_s = kNowS;
  std::unique_ptr<sqlite::SqliteStore> store;
  std::unique_ptr<sqlite::SqliteReader> reader;

 private:
  std::uint64_t sequence_ = 1000;
};

Selection select(const std::string& service = "shop", std::int64_t from_s = kNowS - 3600,
                 std::int64_t to_s = kNowS);

// All windows of a metric, as "line start end value" in seconds, joined by newlines and sorted.
std::string windows_of(const TestStore& store, const Selection& selection, const std::string& name,
                       const std::string& by = "");

// CPU time of a selection, samples without a stack included.
std::int64_t cpu_total(const TestStore& store, const Selection& selection = select());

}  // namespace siprof::collector::test
