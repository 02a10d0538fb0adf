// SPDX-License-Identifier: Apache-2.0
// What the control groups of processes allow them, and what that has cost them: limits and throttling. Of
// both versions of control groups, as far as the agent sees them in its own /sys/fs/cgroup. A limit of a
// group above counts as well; the least is the one in force. The agent's thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collector-client/metrics/metric.h"
#include "collector-client/metrics/metric_source.h"

namespace siprof::client {

class Cgroups {
 public:
  // The file that says where control groups are mounted.
  explicit Cgroups(std::string mountinfo = "/proc/self/mountinfo") : mountinfo_(std::move(mountinfo)) {}

  // From now on what a process of these groups (the text of /proc/PID/cgroup, as we read it) is throttled
  // counts. Nothing happens if they are known.
  void meet(const std::string& groups);
  // Of the window that ends now; none where there is no limit. The same again until end_window(): several
  // series may have processes in one group.
  const std::vector<MetricPoint>& points_of(const std::string& groups);
  // Forgets groups that nobody asked for in this window or the one before.
  void end_window();

 private:
  // Where a control group is.
  struct Place {
    std::string mount;   // folder of the hierarchy
    std::string below;   // of the group in it, from "/" on; "": the mount's own
    std::string prefix;  // of `below`, in the path that the kernel tells of it
    bool is_v2 = false;
  };
  struct Mount {
    std::string folder;
    std::string root;  // of the hierarchy, that is mounted there
    bool is_v2 = false;
    std::vector<std::string> controllers;  // of version 1
  };
  struct CpuLimit {
    std::string path;    // as the kernel tells it
    std::string folder;  // of its files
    double cpus = 0;
    bool is_v2 = false;
  };
  struct State {
    std::string cpu_group;  // whose counters these are
    Increase periods, throttled_periods, throttled_ns;
    std::optional<std::vector<MetricPoint>> points;  // of this window
    int idle_windows = 0;
  };

  void look(const std::string& groups, State& state);
  void look_at_cpu(const std::string& groups, State& state, std::vector<MetricPoint>& points);
  void look_at_memory(const std::string& groups, std::vector<MetricPoint>& points);
  std::optional<Place> place_of(std::string_view groups, std::string_view controller);
  void read_mounts();

  const std::string mountinfo_;
  std::optional<std::vector<Mount>> mounts_;
  std::map<std::string, State> states_;  // by the text of the groups
};

}  // namespace siprof::client
