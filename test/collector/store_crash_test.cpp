// SPDX-License-Identifier: Apache-2.0
// The embedded store under SIGKILL and without room on the disk.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "test/collector/store_support.h"

namespace siprof::collector::test {
namespace {

// Writes until it is killed; after each batch its last sequence goes into `acknowledged`.
[[noreturn]] void write_for_ever(const std::string& dir, std::uint64_t first, int acknowledged) {
  auto store = sqlite::SqliteStore::open({dir, default_tiers(), 0, [] { return kNowS * kSecondNs; }});
  if (!store.ok()) ::_exit(3);
  for (std::uint64_t sequence = first;; sequence += 3) {
    std::vector<IncomingProfile> batch;
    for (std::uint64_t i = sequence; i < sequence + 3; ++i) {
      // Two days, new names every time: both files and the catalogue are written.
      const std::int64_t start_s = kNowS - (i % 2 == 0 ? 60 : 86'460);
      batch.push_back(
          make_profile({.sequence = i, .start_s = start_s}, absl::StrCat("main;f", i, " 1\nmain 1")));
    }
    for (const auto& result : (*store)->write(batch))
      if (!result.ok()) ::_exit(4);
    const std::uint64_t last = sequence + 2;
    if (::write(acknowledged, &last, sizeof last) != sizeof last) ::_exit(5);
  }
}

std::uint64_t last_acknowledged(int pipe) {
  std::uint64_t last = 0;
  while (::read(pipe, &last, sizeof last) == sizeof last) continue;
  return last;
}

TEST_CASE(
    "after kill -9 in the middle of writing all that was acknowledged is there, once, under its own names") {
  const TempDir dir;
  std::uint64_t last = 0;
  for (int round = 0; round < 12; ++round) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) write_for_ever(dir.path("store"), last + 1, ends[1]);
    ::close(ends[1]);
    std::this_thread::sleep_for(std::chrono::milliseconds(60 + 17 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    last = std::max(last, last_acknowledged(ends[0]));
    ::close(ends[0]);
  }
  REQUIRE(last > 12);
  TestStore store(dir.path("store"));
  // The agent sends again what it has no answer for, and one that had one.
  for (std::uint64_t i = last - 2; i < last + 6; ++i) {
    const std::int64_t start_s = kNowS - (i % 2 == 0 ? 60 : 86'460);
    const auto again =
        store.write({.sequence = i, .start_s = start_s}, absl::StrCat("main;f", i, " 1\nmain 1"));
    REQUIRE(again.ok());
    if (i <= last) CHECK(*again == Stored::kDuplicate);
  }
  last += 5;
  const auto stacks = store.reader->stacks(select("shop", 0, kNowS), "cpu");
  REQUIRE(stacks.ok());
  // What was written without an acknowledgement may be there on top, never less.
  CHECK(stacks->profiles >= last);
  std::map<std::string, std::int64_t> by_name;
  for (std::size_t i = 0; i < stacks->nodes.size(); ++i)
    by_name[stacks->strings[stacks->frames[stacks->nodes[i].frame].name]] += stacks->values[i];
  CHECK(by_name["main"] == static_cast<std::int64_t>(stacks->profiles));
  for (std::uint64_t i = 1; i <= last; ++i) CHECK(by_name[absl::StrCat("f", i)] == 1);
}

// Files can't grow beyond the limit: what a full disk looks like, without root.
class NoRoom {
 public:
  explicit NoRoom(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~NoRoom() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

std::string many_stacks(int from) {
  std::string folded;
  for (int i = from; i < from + 3000; ++i)
    absl::StrAppend(&folded, "main;a_function_with_the_number_", i, " 1\n");
  return folded;
}

TEST_CASE("a full disk is RESOURCE_EXHAUSTED, loses nothing that was stored and ends by itself") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add({}, "main 1");
  {
    const NoRoom no_room(300 << 10);
    absl::Status failed;
    std::uint64_t sequence = 1;
    while (failed.ok() && sequence < 100)
      failed = store.write({.sequence = ++sequence}, many_stacks(static_cast<int>(sequence) * 3000)).status();
    INFO(failed.ToString());
    CHECK(absl::IsResourceExhausted(failed));
    CHECK_FALSE(store.store->ready().ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));
    CHECK_FALSE(store.store->ready().ok());
    const auto stacks = store.reader->stacks(select(), "cpu");
    INFO(stacks.status().ToString());
    REQUIRE(stacks.ok());
    CHECK(stacks->profiles >= 1);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  CHECK(store.store->ready().ok());
  const auto before = store.reader->stacks(select(), "cpu");
  REQUIRE(before.ok());
  store.add({}, many_stacks(900'000));
  const auto after = store.reader->stacks(select(), "cpu");
  REQUIRE(after.ok());
  CHECK(after->profiles == before->profiles + 1);
  CHECK(after->nodes.size() == before->nodes.size() + 3000);
}

}  // namespace
}  // namespace siprof::collector::test
