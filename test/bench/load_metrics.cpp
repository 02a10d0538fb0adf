// SPDX-License-Identifier: Apache-2.0
#include "test/bench/load_metrics.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace siprof::bench {
namespace {

struct Kind {
  const char* name;
  const char* unit;
  v1::MetricPoint::Type type;
  const char* label;
  const char* value;
  double size;  // of a gauge the level, of a counter the increase in a second
};

constexpr double kMiB = 1 << 20;
constexpr auto kGauge = v1::MetricPoint::GAUGE;
constexpr auto kCounter = v1::MetricPoint::COUNTER;
constexpr Kind kKinds[] = {
    {"process.cpu.time", "s", kCounter, "cpu.mode", "user", 0.6},
    {"process.cpu.time", "s", kCounter, "cpu.mode", "system", 0.1},
    {"process.cpu.utilization", "1", kGauge, "cpu.mode", "user", 0.15},
    {"process.cpu.utilization", "1", kGauge, "cpu.mode", "system", 0.025},
    {"process.memory.usage", "By", kGauge, "", "", 180 * kMiB},
    {"process.memory.virtual", "By", kGauge, "", "", 900 * kMiB},
    {"process.thread.count", "{thread}", kGauge, "", "", 12},
    {"process.unix.file_descriptor.count", "{file_descriptor}", kGauge, "", "", 40},
    {"process.paging.faults", "{fault}", kCounter, "system.paging.fault.type", "minor", 120},
    {"process.paging.faults", "{fault}", kCounter, "system.paging.fault.type", "major", 0.2},
    {"process.context_switches", "{context_switch}", kCounter, "process.context_switch.type", "voluntary",
     300},
    {"process.context_switches", "{context_switch}", kCounter, "process.context_switch.type", "involuntary",
     25},
    {"process.disk.io", "By", kCounter, "disk.io.direction", "read", 2 * kMiB},
    {"process.disk.io", "By", kCounter, "disk.io.direction", "write", kMiB / 2},
};

}  // namespace

v1::Metrics make_metrics(int seed, int processes, absl::Time end, absl::Duration window) {
  v1::Metrics metrics;
  const double seconds = absl::ToDoubleSeconds(window);
  const double phase = absl::ToDoubleSeconds(end - absl::UnixEpoch()) / 300;
  const auto add = [&](const Kind& kind, const std::string& pid, double value) {
    v1::MetricPoint& point = *metrics.add_points();
    point.set_name(kind.name);
    point.set_unit(kind.unit);
    point.set_type(kind.type);
    point.set_start_unix_nanos(absl::ToUnixNanos(end - window));
    point.set_time_unix_nanos(absl::ToUnixNanos(end));
    if (*kind.label != 0) (*point.mutable_labels())[kind.label] = kind.value;
    if (!pid.empty()) (*point.mutable_labels())["pid"] = pid;
    point.set_value(value);
  };
  for (int process = 0; process < processes; ++process) {
    for (const Kind& kind : kKinds) {
      const double drift =
          1 + 0.3 * std::sin(phase + seed + process) + 0.1 * std::sin(17 * phase + kind.size);
      const double value = kind.size * drift * (kind.type == kCounter ? seconds : 1);
      const bool whole = kind.size >= 1;  // bytes, faults and threads come one by one
      add(kind, absl::StrCat(1'000 + 10 * seed + process), whole ? std::round(value) : value);
    }
  }
  // Of the container that they share, so without a process.
  add({"container.memory.limit", "By", kGauge, "process.linux.cgroup", "/pod", 0}, "", 1'024 * kMiB);
  return metrics;
}

}  // namespace siprof::bench
