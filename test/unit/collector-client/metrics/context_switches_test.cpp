// SPDX-License-Identifier: Apache-2.0
// Threads that come, go, have each other's numbers, and are more than a look may read.
#include "collector-client/metrics/context_switches.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "test/unit/collector-client/metrics/fake_proc.h"

namespace siprof::client {
namespace {

struct Watched {
  FakeProc proc;
  ProcFolder folder{proc.fd()};
  ContextSwitches switches;
  std::uint64_t threads = 0;
  std::size_t most = 100;

  void write(int tid, std::uint64_t voluntary, std::uint64_t involuntary) {
    proc.write_thread(tid, voluntary, involuntary);
  }
  void end(int tid) const { std::filesystem::remove_all(proc.path() + "/task/" + std::to_string(tid)); }
  // Voluntary ones since the last time; -1: not known.
  std::int64_t look() {
    switches.look(folder, threads, most);
    const auto counts = switches.take();
    return counts ? static_cast<std::int64_t>(counts->voluntary) : -1;
  }
};

TEST_CASE("what threads have done before the first look doesn't count, what they do afterwards does") {
  Watched watched;
  watched.write(1, 1000, 10);
  watched.write(2, 50, 5);
  CHECK(watched.look() == -1);
  CHECK(watched.look() == 0);
  watched.write(1, 1007, 12);
  watched.write(2, 53, 5);
  watched.write(3, 20, 4);  // new: all of it is since
  watched.switches.look(watched.folder, 0, 100);
  const auto counts = watched.switches.take();
  REQUIRE(counts.has_value());
  CHECK(counts->voluntary == 30);
  CHECK(counts->involuntary == 6);
  watched.end(2);
  watched.write(3, 21, 4);
  CHECK(watched.look() == 1);
}

TEST_CASE("of a new process all counts from its start") {
  Watched watched;
  watched.switches.count_from_start();
  watched.write(1, 1000, 10);
  CHECK(watched.look() == 1000);
}

TEST_CASE("a thread that has the number of an ended one counts from 0") {
  Watched watched;
  watched.write(1, 10, 10);
  watched.write(2, 1000, 10);
  watched.look();
  watched.write(2, 7, 0);
  CHECK(watched.look() == 7);
  watched.write(2, 8, 0);
  CHECK(watched.look() == 1);
}

TEST_CASE("without a folder, or files that can be read, nothing is known") {
  Watched watched;
  CHECK(watched.look() == -1);
  watched.proc.write("task/1/status", "Name:\tapp\n");
  watched.proc.write("task/2/status", "voluntary_ctxt_switches:\t-1\nnonvoluntary_ctxt_switches:\t0\n");
  watched.proc.write("task/x/status", "voluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t0\n");
  watched.look();
  CHECK(watched.look() == -1);
}

TEST_CASE("numbers as large as there are don't count twice or below 0") {
  Watched watched;
  watched.write(1, 1, 1);
  watched.look();
  watched.write(1, ~std::uint64_t{0} >> 1, 1);
  CHECK(watched.look() == static_cast<std::int64_t>((~std::uint64_t{0} >> 1) - 1));
  watched.write(1, 0, 0);
  CHECK(watched.look() == 0);
}

// 200 threads, of which a look reads 30: each has done 10 by the end.
TEST_CASE("of very many threads each is read in turn, and none of what they do is lost or doubled") {
  Watched watched;
  watched.threads = 200;
  watched.most = 30;
  for (int tid = 1; tid <= 200; ++tid) watched.write(tid, 5, 0);
  for (int i = 0; i < 8; ++i) CHECK(watched.look() <= 0);
  for (int tid = 1; tid <= 200; ++tid) watched.write(tid, 15, 0);
  std::int64_t sum = 0;
  int looks = 0;
  for (; sum < 2000 && looks < 16; ++looks) {
    const std::int64_t seen = watched.look();
    CHECK(seen <= 300);
    sum += std::max<std::int64_t>(seen, 0);
  }
  CHECK(sum == 2000);
  CHECK(looks >= 7);
  for (int i = 0; i < 16; ++i) CHECK(watched.look() <= 0);
}

TEST_CASE("threads that have ended are forgotten") {
  Watched watched;
  for (int round = 0; round < 10; ++round) {
    for (int i = 1; i <= 50; ++i) watched.write(round * 50 + i, 5, 0);
    watched.look();
    for (int i = 1; i <= 50; ++i) watched.end(round * 50 + i);
  }
  CHECK(watched.switches.threads_known() <= 150);
}

}  // namespace
}  // namespace siprof::client
