// SPDX-License-Identifier: Apache-2.0
// Control groups of both versions, as folders that a test has made: limits, who has the least, throttling.
#include "collector-client/metrics/cgroups.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "collector-client/base/presentable.h"
#include "collector-client/metrics/metric_table.h"
#include "test/unit/collector-client/export/temporary_folder.h"

namespace siprof::client {
namespace {

class Machine {
 public:
  // Each a line of mountinfo: of `root` of a hierarchy at a folder below ours.
  void mount_v2(const std::string& folder, const std::string& root = "/") {
    mount(folder, root, "cgroup2 cgroup2 rw,nsdelegate");
  }
  void mount_v1(const std::string& folder, const std::string& controllers, const std::string& root = "/") {
    mount(folder, root, "cgroup cgroup rw," + controllers);
  }
  void write(const std::string& file, const std::string& text) const {
    const std::string path = folder_.path() + "/" + file;
    std::filesystem::create_directories(path.substr(0, path.rfind('/')));
    std::ofstream(path, std::ios::trunc) << text << "\n";
  }
  std::string mountinfo() const { return folder_.path() + "/mountinfo"; }

 private:
  void mount(const std::string& folder, const std::string& root, const std::string& what) {
    std::filesystem::create_directories(folder_.path() + "/" + folder);
    std::ofstream(mountinfo(), std::ios::app) << "31 23 0:28 " << root << " " << folder_.path() << "/"
                                              << folder << " rw,relatime shared:9 - " << what << "\n";
  }

  TemporaryFolder folder_;
};

std::map<std::string, double> values(const std::vector<MetricPoint>& points) {
  std::map<std::string, double> all;
  for (const MetricPoint& point : points) {
    CHECK(point.pid == 0);
    all[std::string(point.metric->name) + " " + point.label] = point.value;
  }
  return all;
}

using Expected = std::map<std::string, double>;

TEST_CASE("version 2: limits, and what is used and lost by them") {
  Machine machine;
  machine.mount_v2("fs");
  machine.write("fs/shop.slice/web/memory.max", "67108864");
  machine.write("fs/shop.slice/web/memory.current", "1048576");
  machine.write("fs/shop.slice/web/cpu.max", "150000 100000");
  machine.write("fs/shop.slice/web/cpu.stat",
                "usage_usec 5\nnr_periods 10\nnr_throttled 4\nthrottled_usec 2000000");
  Cgroups cgroups(machine.mountinfo());
  const std::string groups = "0::/shop.slice/web\n";
  cgroups.meet(groups);
  machine.write("fs/shop.slice/web/cpu.stat",
                "usage_usec 5\nnr_periods 110\nnr_throttled 24\nthrottled_usec 2500000");
  const std::string at = " /shop.slice/web";
  const Expected expected = {{"container.cpu.limit" + at, 1.5},
                             {"container.cpu.periods" + at, 100},
                             {"container.cpu.throttled.periods" + at, 20},
                             {"container.cpu.throttled.time" + at, 0.5},
                             {"container.memory.limit" + at, 67'108'864},
                             {"container.memory.usage" + at, 1'048'576}};
  CHECK(values(cgroups.points_of(groups)) == expected);
  // For another series with processes in it, the same.
  CHECK(values(cgroups.points_of(groups)) == expected);
  cgroups.end_window();
  CHECK(values(cgroups.points_of(groups)).at("container.cpu.throttled.time" + at) == 0);
}

TEST_CASE("no limit is no number") {
  Machine machine;
  machine.mount_v2("fs");
  machine.write("fs/a/memory.max", "max");
  machine.write("fs/a/memory.current", "5");
  machine.write("fs/a/cpu.max", "max 100000");
  machine.write("fs/a/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_usec 0");
  Cgroups cgroups(machine.mountinfo());
  CHECK(cgroups.points_of("0::/a\n").empty());
  CHECK(cgroups.points_of("0::/not-there\n").empty());
  CHECK(cgroups.points_of("0::/\n").empty());
  CHECK(cgroups.points_of("").empty());
  CHECK(Cgroups("/not/there").points_of("0::/a\n").empty());
}

TEST_CASE("the least limit counts, whichever group above has it") {
  Machine machine;
  machine.mount_v2("fs");
  machine.write("fs/pod/memory.max", "1000");
  machine.write("fs/pod/memory.current", "900");
  machine.write("fs/pod/web/memory.max", "2000");
  machine.write("fs/pod/web/memory.current", "300");
  machine.write("fs/pod/cpu.max", "400000 100000");
  machine.write("fs/pod/web/cpu.max", "50000 100000");
  Cgroups cgroups(machine.mountinfo());
  const Expected expected = {{"container.memory.limit /pod", 1000},
                             {"container.memory.usage /pod", 900},
                             {"container.cpu.limit /pod/web", 0.5}};
  CHECK(values(cgroups.points_of("0::/pod/web\n")) == expected);
}

TEST_CASE("version 1, each controller in a hierarchy of its own") {
  Machine machine;
  machine.mount_v1("memory", "memory");
  machine.mount_v1("cpu", "cpu,cpuacct");
  machine.mount_v2("unified");
  machine.write("memory/memory.limit_in_bytes", "9223372036854771712");
  machine.write("memory/box/memory.limit_in_bytes", "4096");
  machine.write("memory/box/memory.usage_in_bytes", "1024");
  machine.write("cpu/shop/cpu.cfs_quota_us", "25000");
  machine.write("cpu/shop/cpu.cfs_period_us", "100000");
  machine.write("cpu/shop/cpu.stat", "nr_periods 1\nnr_throttled 1\nthrottled_time 1000000000");
  Cgroups cgroups(machine.mountinfo());
  const std::string groups = "4:memory:/box\n3:cpu,cpuacct:/shop\n0::/elsewhere\n";
  cgroups.meet(groups);
  machine.write("cpu/shop/cpu.stat", "nr_periods 2\nnr_throttled 2\nthrottled_time 1250000000");
  const Expected expected = {
      {"container.memory.limit /box", 4096},        {"container.memory.usage /box", 1024},
      {"container.cpu.limit /shop", 0.25},          {"container.cpu.periods /shop", 1},
      {"container.cpu.throttled.periods /shop", 1}, {"container.cpu.throttled.time /shop", 0.25}};
  CHECK(values(cgroups.points_of(groups)) == expected);
  CHECK(cgroups.points_of("4:memory:/\n3:cpu,cpuacct:/\n").empty());  // -1 would be a quota of none
  machine.write("cpu/shop/cpu.cfs_quota_us", "-1");
  cgroups.end_window();
  CHECK_FALSE(values(cgroups.points_of(groups)).contains("container.cpu.limit /shop"));
}

TEST_CASE("in a container only a part of the hierarchy is there") {
  Machine machine;
  machine.write("fs/memory.max", "5000");
  machine.write("fs/memory.current", "1");
  SECTION("in a namespace of its own it is the root") {
    machine.mount_v2("fs");
    Cgroups cgroups(machine.mountinfo());
    CHECK(values(cgroups.points_of("0::/\n")).at("container.memory.limit /") == 5000);
    // A process outside of it, seen from inside.
    CHECK(cgroups.points_of("0::/../other\n").empty());
  }
  SECTION("without one, paths are those of the machine") {
    machine.mount_v2("fs", "/docker/box");
    Cgroups cgroups(machine.mountinfo());
    CHECK(values(cgroups.points_of("0::/docker/box\n")).at("container.memory.limit /docker/box") == 5000);
    CHECK(values(cgroups.points_of("0::/docker/box/in\n")).at("container.memory.limit /docker/box") == 5000);
    CHECK(cgroups.points_of("0::/docker/boxes\n").empty());
    CHECK(cgroups.points_of("0::/docker\n").empty());
  }
}

TEST_CASE("odd files give no numbers") {
  Machine machine;
  machine.mount_v2("fs");
  const std::string text = GENERATE(as<std::string>(), "", "-5", "1e9", "99999999999999999999", "0 100000",
                                    "100000 0", "1 2 3", "max");
  machine.write("fs/a/memory.max", text);
  machine.write("fs/a/cpu.max", text);
  Cgroups cgroups(machine.mountinfo());
  for (const char* groups : {"0::/a\n", "0:/a", "::", ":", "0::a\n", "0::/a", "\n\n"}) {
    for (const MetricPoint& point : cgroups.points_of(groups)) FAIL(point.metric->name << " " << text);
  }
}

TEST_CASE("a blank in a mount's path is written in octal") {
  Machine machine;
  machine.write("f s/a/memory.max", "77");
  const std::string line = "31 23 0:28 / " + machine.mountinfo().substr(0, machine.mountinfo().rfind('/')) +
                           "/f\\040s rw - cgroup2 cgroup2 rw\n";
  std::ofstream(machine.mountinfo()) << line;
  Cgroups cgroups(machine.mountinfo());
  CHECK(values(cgroups.points_of("0::/a\n")).at("container.memory.limit /a") == 77);
}

TEST_CASE("a path is a label that a collector takes, whatever bytes it has") {
  Machine machine;
  machine.mount_v2("fs");
  const std::string name = GENERATE(as<std::string>(), "caf\xe9", "caf\xc3\xa9");
  std::string path;
  for (int i = 0; i < 100; ++i) path += "/" + name;
  machine.write("fs" + path + "/memory.max", "77");
  Cgroups cgroups(machine.mountinfo());
  const std::vector<MetricPoint>& points = cgroups.points_of("0::" + path + "\n");
  REQUIRE(points.size() == 1);
  CHECK(points[0].label.size() <= 512);
  CHECK(points[0].label.size() > 500);
  CHECK(presentable(points[0].label) == points[0].label);
}

TEST_CASE("another group's counters aren't taken for the one's before") {
  Machine machine;
  machine.mount_v2("fs");
  machine.write("fs/a/cpu.max", "100000 100000");
  machine.write("fs/a/cpu.stat", "nr_periods 5\nnr_throttled 5\nthrottled_usec 5");
  Cgroups cgroups(machine.mountinfo());
  cgroups.meet("0::/a/b\n");
  machine.write("fs/a/b/cpu.max", "50000 100000");
  machine.write("fs/a/b/cpu.stat", "nr_periods 900\nnr_throttled 900\nthrottled_usec 900");
  CHECK_FALSE(values(cgroups.points_of("0::/a/b\n")).contains("container.cpu.periods /a/b"));
}

TEST_CASE("groups that nobody asks for any more are met anew") {
  Machine machine;
  machine.mount_v2("fs");
  machine.write("fs/a/cpu.max", "100000 100000");
  machine.write("fs/a/cpu.stat", "nr_periods 5\nnr_throttled 5\nthrottled_usec 5");
  Cgroups cgroups(machine.mountinfo());
  cgroups.meet("0::/a\n");
  cgroups.end_window();
  cgroups.end_window();
  machine.write("fs/a/cpu.stat", "nr_periods 50\nnr_throttled 5\nthrottled_usec 5");
  CHECK(values(cgroups.points_of("0::/a\n")).at("container.cpu.periods /a") == 0);
}

}  // namespace
}  // namespace siprof::client
