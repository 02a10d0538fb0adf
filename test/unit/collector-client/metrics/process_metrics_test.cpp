// SPDX-License-Identifier: Apache-2.0
// What a process's folder says becomes points: increases, levels, and nothing where nothing is known.
#include <catch2/catch.hpp>
#include <cmath>
#include <map>

#include "collector-client/metrics/metric_source.h"
#include "collector-client/metrics/metric_table.h"
#include "test/unit/collector-client/intake/fixtures.h"
#include "test/unit/collector-client/metrics/fake_proc.h"

namespace siprof::client {
namespace {

class HandClock : public Clock {
 public:
  absl::Time now() const override { return absl::FromUnixNanos(ns); }
  std::int64_t monotonic_ns() const override { return ns; }
  std::int64_t ns = 1'000'000'000'000;
};

struct Watched {
  testing::SharedMemory memory;
  HandClock clock;
  FakeProc proc;
  FakeStat stat;
  std::unique_ptr<MetricSource> source;

  explicit Watched(bool is_new = false) {
    stat.start = std::to_string(static_cast<std::uint64_t>(static_cast<double>(cpu_time_ns(CLOCK_BOOTTIME)) /
                                                           1e9 * static_cast<double>(sysconf(_SC_CLK_TCK))));
    const IntakeSources sources = memory.sources();
    source = make_process_metrics({proc.fd(), sources.pool, clock, is_new});
  }
  void look(Look look = Look::kWhole) {
    if (stat.state != '?') proc.write("stat", stat.text());
    source->look(look);
  }
  std::map<std::string, double> report() {
    MetricOutput out(70);
    source->report(out);
    std::map<std::string, double> values;
    for (const MetricPoint& point : out.take()) {
      CHECK(point.pid == 70);
      CHECK(point.label.empty() == point.metric->label.empty());
      const std::string name =
          std::string(point.metric->name) + (point.label.empty() ? "" : " ") + point.label;
      CHECK(values.emplace(name, point.value).second);
    }
    return values;
  }
};

TEST_CASE("increases are those since the first look, levels those of the last one") {
  Watched watched;
  watched.proc.write("io", "rchar: 5\nread_bytes: 4096\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
  watched.proc.write("status", "Cpus_allowed:\t3\n");
  watched.proc.write_thread(77, 5, 5);
  for (int i = 0; i < 6; ++i) watched.proc.write("fd/" + std::to_string(i), "");
  watched.look();
  watched.clock.ns += 10'000'000'000;
  watched.stat.user = "250";
  watched.stat.system = "60";
  watched.stat.minor = "107";
  watched.stat.threads = "4";
  watched.proc.write("io", "read_bytes: 8192\nwrite_bytes: 12288\n");
  watched.proc.write_thread(77, 25, 6);
  watched.look();
  const std::map<std::string, double> values = watched.report();
  const std::map<std::string, double> expected = {
      {"process.cpu.time user", 2},
      {"process.cpu.time system", 0.5},
      {"process.cpu.utilization user", 0.1},
      {"process.cpu.utilization system", 0.025},
      {"process.paging.faults minor", 7},
      {"process.paging.faults major", 0},
      {"process.disk.io read", 4096},
      {"process.disk.io write", 12288},
      {"process.context_switches voluntary", 20},
      {"process.context_switches involuntary", 1},
      {"process.memory.usage", 300.0 * static_cast<double>(sysconf(_SC_PAGESIZE))},
      {"process.memory.virtual", 8'192'000},
      {"process.thread.count", 4},
      {"process.unix.file_descriptor.count", 6},
  };
  CHECK(values.size() == expected.size());
  for (const auto& [name, value] : expected) {
    INFO(name);
    REQUIRE(values.contains(name));
    CHECK(values.at(name) == Approx(value));
  }
  watched.look();
  CHECK(watched.report().at("process.cpu.time user") == 0);
}

TEST_CASE("what can't be read is left out") {
  Watched watched;
  SECTION("nothing at all") {
    watched.stat.state = '?';
    watched.look();
    CHECK(watched.report().empty());
  }
  SECTION("all but stat") {
    watched.look();
    watched.look();
    const auto values = watched.report();
    CHECK(values.contains("process.cpu.time user"));
    CHECK(values.contains("process.memory.usage"));
    CHECK_FALSE(values.contains("process.cpu.utilization user"));
    CHECK_FALSE(values.contains("process.disk.io read"));
    CHECK_FALSE(values.contains("process.context_switches voluntary"));
    CHECK_FALSE(values.contains("process.unix.file_descriptor.count"));
  }
  SECTION("closed in between, and open again") {
    watched.proc.write("io", "read_bytes: 10\nwrite_bytes: 0\n");
    watched.look();
    watched.proc.write("io", "");
    watched.look();
    CHECK_FALSE(watched.report().contains("process.disk.io read"));
    watched.proc.write("io", "read_bytes: 25\nwrite_bytes: 0\n");
    watched.look();
    CHECK(watched.report().at("process.disk.io read") == 15);
  }
  SECTION("memory and descriptors of a process whose main thread has ended") {
    watched.proc.write("fd/1", "");
    watched.stat.state = 'Z';
    watched.stat.virtual_bytes = watched.stat.resident_pages = "0";
    watched.look();
    watched.look();
    const auto values = watched.report();
    CHECK(values.contains("process.thread.count"));
    CHECK_FALSE(values.contains("process.memory.usage"));
    CHECK_FALSE(values.contains("process.memory.virtual"));
    CHECK_FALSE(values.contains("process.unix.file_descriptor.count"));
  }
}

TEST_CASE("a process that has ended keeps the levels that it had, and what it used last counts") {
  Watched watched;
  watched.look();
  watched.stat.user = "60";
  watched.look(Look::kBetween);
  SECTION("it can still be asked") {
    watched.stat.state = 'Z';
    watched.stat.user = "70";
    watched.stat.virtual_bytes = watched.stat.resident_pages = "0";
    if (GENERATE(false, true)) watched.look(Look::kBetween);  // before the agent knows of the end
    watched.look(Look::kLast);
    const auto values = watched.report();
    CHECK(values.at("process.cpu.time user") == Approx(0.2));
    CHECK(values.at("process.memory.virtual") == 8'192'000);
  }
  SECTION("it was reaped") {
    watched.stat.state = '?';
    watched.proc.write("stat", "");
    watched.look(Look::kLast);
    const auto values = watched.report();
    CHECK(values.at("process.cpu.time user") == Approx(0.1));
    CHECK(values.at("process.memory.virtual") == 8'192'000);
  }
  SECTION("one that lives and isn't to be seen any more has no levels") {
    watched.stat.state = '?';
    watched.proc.write("stat", "");
    watched.look(Look::kWhole);
    CHECK_FALSE(watched.report().contains("process.memory.virtual"));
  }
}

TEST_CASE("of a young process that nobody has looked at before all counts from its start") {
  SECTION("young and new") {
    Watched watched(/*is_new=*/true);
    watched.proc.write("io", "read_bytes: 10\nwrite_bytes: 3\n");
    watched.proc.write_thread(77, 5, 6);
    watched.look();
    const auto values = watched.report();
    CHECK(values.at("process.cpu.time user") == Approx(0.5));
    CHECK(values.at("process.paging.faults minor") == 100);
    CHECK(values.at("process.disk.io write") == 3);
    CHECK(values.at("process.context_switches involuntary") == 6);
  }
  SECTION("young, and another agent has had it") {
    Watched watched(/*is_new=*/false);
    watched.look();
    CHECK_FALSE(watched.report().contains("process.cpu.time user"));
  }
  SECTION("it has run for long: most of it is of other windows") {
    Watched watched(/*is_new=*/true);
    watched.stat.start = std::to_string(std::stoull(watched.stat.start) -
                                        20 * static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK)));
    watched.look();
    CHECK_FALSE(watched.report().contains("process.cpu.time user"));
  }
}

TEST_CASE("numbers that go back or are absurd make no increase below 0, and no number that isn't one") {
  Watched watched;
  watched.look();
  watched.stat.user = "18446744073709551615";
  watched.stat.minor = "3";
  watched.look();
  watched.stat.user = "5";
  watched.look();
  watched.stat.user = "8";
  watched.look();
  for (const auto& [name, value] : watched.report()) {
    INFO(name);
    CHECK(std::isfinite(value));
    CHECK(value >= 0);
  }
}

TEST_CASE("CPU time over too short a time is no share") {
  Watched watched;
  watched.proc.write("status", "Cpus_allowed:\t1\n");
  watched.look();
  watched.clock.ns += 100'000'000;
  watched.look();
  CHECK_FALSE(watched.report().contains("process.cpu.utilization user"));
  watched.clock.ns += 1'000'000'000;
  watched.stat.user = "100";
  watched.look();
  CHECK(watched.report().at("process.cpu.utilization user") == Approx(0.5));
}

TEST_CASE("sums of calls are told of those that were made") {
  testing::SharedMemory memory;
  HandClock clock;
  memory.io_bank(0).cells[static_cast<std::uint32_t>(IoCall::k_read)].calls = 4;
  const IntakeSources sources = memory.sources();
  const auto source = make_io_metrics({-1, sources.pool, clock});
  memory.io_bank(0).cells[static_cast<std::uint32_t>(IoCall::k_write)].calls = 2;
  memory.io_bank(0).cells[static_cast<std::uint32_t>(IoCall::k_write)].bytes = 100;
  memory.io_bank(5).cells[static_cast<std::uint32_t>(IoCall::k_write)].calls = 1;
  memory.io_bank(5).cells[static_cast<std::uint32_t>(IoCall::k_write)].ns = 1'500'000'000;
  MetricOutput out(70);
  source->report(out);
  const std::vector<MetricPoint> points = out.take();
  REQUIRE(points.size() == 3);
  for (const MetricPoint& point : points) CHECK(point.label == "write");
  CHECK(points[0].value == 3);
  CHECK(points[1].value == 100);
  CHECK(points[2].value == Approx(1.5));
  memory.io_bank(5).cells[static_cast<std::uint32_t>(IoCall::k_write)].calls = 0;  // hostile
  MetricOutput next(70);
  source->report(next);
  CHECK(next.take().empty());
}

}  // namespace
}  // namespace siprof::client
