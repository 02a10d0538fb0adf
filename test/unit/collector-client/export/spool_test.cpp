// SPDX-License-Identifier: Apache-2.0
// The queue on disk: order, bounds, kill -9, damage, several agents.
#include "collector-client/export/spool.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <set>

#include "collector-client/base/file_io.h"
#include "collector-client/export/spool_file.h"
#include "test/unit/collector-client/export/temporary_folder.h"

namespace siprof::client {
namespace {

v1::AgentMessage message(const std::string& content) {
  v1::AgentMessage message;
  message.mutable_profile()->set_kind("cpu");
  message.mutable_profile()->set_pprof_gzip(content);
  return message;
}

std::unique_ptr<Spool> open(const std::string& folder, Spool::Limits limits = {}) {
  auto spool = Spool::open(folder, limits);
  REQUIRE(spool.ok());
  return *std::move(spool);
}

std::vector<std::string> contents(Spool* spool) {
  std::vector<std::string> contents;
  std::uint64_t cursor = 0;
  for (;;) {
    const auto item = *spool->next_after(cursor);
    if (!item) return contents;
    v1::AgentMessage parsed;
    REQUIRE(parsed.ParseFromString(item->bytes));
    REQUIRE(parsed.profile().sequence() == item->sequence);
    cursor = item->sequence;
    contents.push_back(parsed.profile().pprof_gzip());
  }
}

std::string file_of(const Spool& spool, std::uint64_t sequence) {
  return spool.folder() + "/" + spool_file_name(sequence);
}

}  // namespace

TEST_CASE("messages come in order until they are acknowledged, also after a restart") {
  const TemporaryFolder folder;
  std::string id;
  {
    auto spool = open(folder.path());
    id = spool->agent_id();
    for (const char* text : {"a", "b", "c"}) spool->append(message(text));
    CHECK(contents(spool.get()) == std::vector<std::string>{"a", "b", "c"});
    spool->remove(2, Spool::Fate::kAcknowledged);
    spool->remove(2, Spool::Fate::kAcknowledged);  // a second ack is no error
  }
  auto spool = open(folder.path());
  CHECK(spool->agent_id() == id);
  CHECK(contents(spool.get()) == std::vector<std::string>{"a", "c"});
  CHECK(spool->append(message("d")) > 3);
}

TEST_CASE("no number is given twice after kill -9, even if everything was acknowledged") {
  const TemporaryFolder folder;
  std::set<std::uint64_t> seen;
  std::string id;
  for (int round = 0; round < 3; ++round) {
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto spool = Spool::open(folder.path(), {});
      for (int i = 0; i < 50; ++i) {
        const std::uint64_t sequence = (*spool)->append(message("x"));
        (*spool)->remove(sequence, Spool::Fate::kAcknowledged);
        if (::write(pipe[1], &sequence, sizeof sequence) != sizeof sequence) ::_exit(1);
      }
      ::kill(::getpid(), SIGKILL);
    }
    ::close(pipe[1]);
    std::uint64_t sequence = 0;
    int count = 0;
    while (::read(pipe[0], &sequence, sizeof sequence) == sizeof sequence) {
      CHECK(seen.insert(sequence).second);
      ++count;
    }
    CHECK(count == 50);
    ::close(pipe[0]);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    auto spool = open(folder.path());
    if (round > 0) CHECK(spool->agent_id() == id);
    id = spool->agent_id();
  }
}

TEST_CASE("over its bound the oldest go and are counted") {
  const TemporaryFolder folder;
  auto spool = open(folder.path(), {.bytes = 10'000});
  for (int i = 0; i < 20; ++i) spool->append(message(std::to_string(i) + std::string(990, 'x')));
  const auto counters = spool->counters();
  CHECK(counters.at("spool_waiting_bytes") <= 10'000);
  CHECK(counters.at("spool_waiting") + counters.at("spool_dropped_full") == 20);
  CHECK(spool->size() == 9);
  CHECK(contents(spool.get()).front().substr(0, 2) == "11");
  spool->append(message(std::string(20'000, 'y')));  // larger than the whole bound
  CHECK(spool->size() == 9);
  CHECK(spool->counters().at("spool_dropped_full") == 12);
}

TEST_CASE("damaged files are skipped and counted, foreign ones left alone") {
  const TemporaryFolder folder;
  {
    auto spool = open(folder.path());
    for (const char* text : {"a", "b", "c", "d", "e"}) spool->append(message(text));
    const std::string torn = *read_file(file_of(*spool, 1), 1000);
    REQUIRE(write_file_atomically(file_of(*spool, 1), torn.substr(0, torn.size() - 1)).ok());
    std::string flipped = *read_file(file_of(*spool, 2), 1000);
    flipped.back() ^= 1;
    REQUIRE(write_file_atomically(file_of(*spool, 2), flipped).ok());
    REQUIRE(write_file_atomically(file_of(*spool, 3), "").ok());
    REQUIRE(write_file_atomically(file_of(*spool, 4), *read_file(file_of(*spool, 5), 1000)).ok());
    REQUIRE(write_file_atomically(folder.path() + "/notes.txt", "mine").ok());
  }
  auto spool = open(folder.path());
  CHECK(contents(spool.get()) == std::vector<std::string>{"e"});
  CHECK(spool->counters().at("spool_corrupt") == 4);
  CHECK(spool->size() == 1);
  CHECK(*read_file(folder.path() + "/notes.txt", 100) == "mine");
}

TEST_CASE("what cannot be read for a moment is read later, and nothing is deleted") {
  const TemporaryFolder folder;
  auto spool = open(folder.path());
  for (const char* text : {"a", "b"}) spool->append(message(text));
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{0, before.rlim_max};  // those that are open stay open
  setrlimit(RLIMIT_NOFILE, &none);
  const absl::Status first = spool->next_after(0).status();
  setrlimit(RLIMIT_NOFILE, &before);
  CHECK_FALSE(first.ok());
  CHECK(contents(spool.get()) == std::vector<std::string>{"a", "b"});
  CHECK_FALSE(spool->counters().contains("spool_corrupt"));
}

TEST_CASE("what can never be read holds nothing up and waits for the next start") {
  const TemporaryFolder folder;
  auto spool = open(folder.path());
  for (const char* text : {"a", "b"}) spool->append(message(text));
  const std::string file = file_of(*spool, 1);
  std::filesystem::rename(file, file + ".away");
  std::filesystem::create_symlink(file, file);  // ELOOP
  for (int i = 1; i < Spool::kMostReads; ++i) CHECK_FALSE(spool->next_after(0).ok());
  CHECK(contents(spool.get()) == std::vector<std::string>{"b"});
  CHECK(spool->counters().at("spool_unreadable") == 1);
  CHECK(spool->size() == 1);
  spool.reset();
  std::filesystem::rename(file + ".away", file);
  CHECK(contents(open(folder.path()).get()) == std::vector<std::string>{"a", "b"});
}

TEST_CASE("files of another version are left alone") {
  const TemporaryFolder folder;
  auto spool = open(folder.path());
  for (const char* text : {"a", "b"}) spool->append(message(text));
  std::string newer = *read_file(file_of(*spool, 1), 1000);
  newer[4] = 2;  // behind the magic
  REQUIRE(write_file_atomically(file_of(*spool, 1), newer).ok());
  CHECK(contents(spool.get()) == std::vector<std::string>{"b"});
  CHECK(spool->counters().at("spool_other_version") == 1);
  CHECK(spool->size() == 1);
  CHECK(*read_file(file_of(*spool, 1), 1000) == newer);
}

TEST_CASE("a file with a number that no agent gives is left alone, and numbers go on") {
  const TemporaryFolder folder;
  open(folder.path())->append(message("a"));
  const std::string strange = folder.path() + "/18446744073709551614.msg";
  REQUIRE(write_file_atomically(strange, "x").ok());
  auto spool = open(folder.path());
  const std::uint64_t number = spool->append(message("b"));
  CHECK(number > 1);
  CHECK(number < 1'000'000);
  CHECK(contents(spool.get()) == std::vector<std::string>{"a", "b"});
  CHECK(read_file(strange, 10).ok());
}

TEST_CASE("a damaged identity is replaced, and numbers still rise") {
  const TemporaryFolder folder;
  std::string id;
  {
    auto spool = open(folder.path());
    id = spool->agent_id();
    spool->append(message("a"));
  }
  REQUIRE(write_file_atomically(folder.path() + "/agent", "garbage").ok());
  auto spool = open(folder.path());
  CHECK(spool->agent_id() != id);
  CHECK(spool->agent_id().size() == 32);
  CHECK(spool->append(message("b")) > 1);
}

TEST_CASE("a second agent gets a folder of its own, and a dead one's messages are found") {
  const TemporaryFolder folder;
  auto first = open(folder.path());
  {
    auto second = open(folder.path());
    CHECK(second->folder() != first->folder());
    CHECK(second->agent_id() != first->agent_id());
    second->append(message("left over"));
    CHECK(Spool::take_orphans(folder.path(), {}).empty());  // both live
  }
  auto orphans = Spool::take_orphans(folder.path(), {});
  REQUIRE(orphans.size() == 1);
  CHECK(contents(orphans[0].get()) == std::vector<std::string>{"left over"});
}

TEST_CASE("when the disk takes nothing, messages wait in bounded memory") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/spool";
  auto spool = open(path, {.bytes = 1 << 20, .memory_bytes = 5'000});
  spool->append(message("on disk"));
  std::filesystem::rename(path, path + ".away");  // works as root too, unlike a mode
  for (int i = 0; i < 10; ++i) spool->append(message(std::to_string(i) + std::string(999, 'x')));
  CHECK(spool->counters().at("spool_disk_errors") == 10);
  CHECK(spool->counters().at("spool_dropped_full") == 6);
  std::filesystem::rename(path + ".away", path);
  spool->append(message("on disk again"));
  const auto all = contents(spool.get());
  REQUIRE(all.size() == 6);
  CHECK(all.front() == "on disk");
  CHECK(all[1].front() == '6');
  CHECK(all.back() == "on disk again");
}

}  // namespace siprof::client
