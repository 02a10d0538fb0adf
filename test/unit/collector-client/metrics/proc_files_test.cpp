// SPDX-License-Identifier: Apache-2.0
// Files of /proc with odd contents, and those of this process.
#include "collector-client/metrics/proc_files.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <vector>

#include "test/unit/collector-client/metrics/fake_proc.h"

namespace siprof::client {
namespace {

TEST_CASE("stat is read behind the name, whatever the name is") {
  const std::string name = GENERATE(as<std::string>(), "app", "a b", ") R 1 2 3", "((", "", "\n) Z 1 (");
  FakeStat fake;
  fake.name = name;
  const auto stat = parse_stat(fake.text());
  REQUIRE(stat.has_value());
  CHECK(stat->state == 'S');
  CHECK(stat->minor_faults == 100);
  CHECK(stat->major_faults == 2);
  CHECK(stat->user_ticks == 50);
  CHECK(stat->system_ticks == 10);
  CHECK(stat->threads == 1);
  CHECK(stat->virtual_bytes == 8'192'000);
  CHECK(stat->resident_pages == 300);
}

TEST_CASE("a stat that doesn't read as it should is none") {
  FakeStat fake;
  SECTION("a number that is none") {
    fake.user = GENERATE(as<std::string>(), "-1", "1x", "", "18446744073709551616", "0x10", "1.5");
    CHECK_FALSE(parse_stat(fake.text()).has_value());
  }
  SECTION("cut off") {
    const std::string text = fake.text();
    const std::size_t bytes = text.find(" 8192000") + 8;  // the last field is missing
    for (std::size_t cut = 0; cut <= bytes; ++cut) CHECK_FALSE(parse_stat(text.substr(0, cut)).has_value());
  }
  SECTION("the largest number is one") {
    fake.user = "18446744073709551615";
    CHECK(parse_stat(fake.text())->user_ticks == ~std::uint64_t{0});
  }
}

TEST_CASE("numbers stand behind whole names at the beginning of a line") {
  const std::string text =
      "Name:\tread_bytes: 7\nnonvoluntary_ctxt_switches:\t5\nvoluntary_ctxt_switches:  9 \nlast: 3";
  CHECK(number_behind(text, "voluntary_ctxt_switches") == 9);
  CHECK(number_behind(text, "nonvoluntary_ctxt_switches") == 5);
  CHECK(number_behind(text, "last") == 3);
  CHECK_FALSE(number_behind(text, "read_bytes").has_value());
  CHECK_FALSE(number_behind(text, "Name").has_value());
  CHECK_FALSE(number_behind("", "last").has_value());
  CHECK_FALSE(number_behind("last:\n", "last").has_value());
}

TEST_CASE("CPUs that a process may use are counted in all words") {
  CHECK(allowed_cpus("Cpus_allowed:\tf\n") == 4);
  CHECK(allowed_cpus("X:\t1\nCpus_allowed:\t00000001,ffffffff\nCpus_allowed_list:\t0-32\n") == 33);
  CHECK_FALSE(allowed_cpus("Cpus_allowed:\t0\n").has_value());
  CHECK_FALSE(allowed_cpus("Cpus_allowed:\tz\n").has_value());
  CHECK_FALSE(allowed_cpus("Cpus_allowed_list:\t0-3\n").has_value());
}

TEST_CASE("files are read whole, however long, and what isn't there is empty") {
  FakeProc proc;
  ProcFolder folder(proc.fd());
  CHECK(folder.read("status").empty());
  for (const std::size_t bytes : {0u, 1u, 4095u, 4096u, 4097u, 300'000u}) {
    proc.write("status", std::string(bytes, 'x') + "\nend: 5\n");
    CHECK(number_behind(folder.read("status"), "end") == 5);
  }
  CHECK(folder.read("task").empty());
  CHECK(ProcFolder(-1).read("stat").empty());
  CHECK_FALSE(ProcFolder(-1).descriptors().has_value());
}

TEST_CASE("descriptors are counted up to a bound") {
  FakeProc proc;
  const ProcFolder folder(proc.fd());
  CHECK_FALSE(folder.descriptors().has_value());
  for (int i = 0; i < 3; ++i) proc.write("fd/" + std::to_string(i), "");
  CHECK(folder.descriptors() == 3);
  for (std::uint64_t i = 3; i < ProcFolder::kMostCounted; ++i) proc.write("fd/" + std::to_string(i), "");
  CHECK(folder.descriptors() == ProcFolder::kMostCounted);
  proc.write("fd/more", "");
  CHECK_FALSE(folder.descriptors().has_value());
}

TEST_CASE("this process's own files say what it knows of itself") {
  const UniqueFd self(open("/proc/self/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  ProcFolder folder(self.get());
  std::uint64_t open_now = 0;
  DIR* list = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(list)) open_now += entry->d_name[0] != '.';
  closedir(list);
  CHECK(folder.descriptors() == open_now - 1);  // the list had one itself
  const auto stat = parse_stat(folder.read("stat"));
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  REQUIRE(stat.has_value());
  CHECK(stat->minor_faults <= static_cast<std::uint64_t>(usage.ru_minflt));
  CHECK(stat->minor_faults + 50 >= static_cast<std::uint64_t>(usage.ru_minflt));
  CHECK(stat->threads == 1);
  CHECK(stat->resident_pages * 4096 < stat->virtual_bytes);
  CHECK(allowed_cpus(folder.read("status")).value_or(0) >= 1);
}

}  // namespace
}  // namespace siprof::client
