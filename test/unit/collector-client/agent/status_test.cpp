// SPDX-License-Identifier: Apache-2.0
// Answers to `siprof ps`: whole for thousands of processes, and no reader holds the agent up.
#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <set>

#include "collector-client/agent/replies.h"
#include "test/unit/collector-client/agent/fake_process.h"
#include "test/unit/collector-client/agent/running_agent.h"

namespace siprof::client {
namespace {

constexpr uid_t kNobody = 65534;

struct Pair {
  UniqueFd agent;
  UniqueFd reader;
};

Pair make_pair() {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// To the end of the stream, sending on whenever the socket is empty.
std::string read_to_end(Replies& replies, int fd) {
  std::string text;
  char part[kMaxAttachBytes];
  for (;;) {
    const ssize_t got = recv(fd, part, sizeof part, 0);
    if (got == 0) return text;
    if (got > 0) text.append(part, static_cast<std::size_t>(got));
    if (got < 0) replies.send_some(absl::UnixEpoch());
  }
}

std::string long_text() {
  std::string text;
  for (int i = 0; text.size() < 6'000'000; ++i) text += std::to_string(i) + ",";
  return text;
}

// A process of which only the memory and the number are its own: this one's end is its end.
RawMessage message_of(std::int32_t pid) {
  constexpr std::size_t kBytes = kSharedHeaderBytes + kChunkBytes;
  std::vector<UniqueFd> fds;
  fds.emplace_back(memfd_create("siprof", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(ftruncate(fds[0].get(), kBytes) == 0);
  REQUIRE(fcntl(fds[0].get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
  void* at = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0].get(), 0);
  REQUIRE(at != MAP_FAILED);
  auto* header = static_cast<SharedHeader*>(at);
  header->magic = kSharedMemoryMagic;
  header->version = kSharedMemoryVersion;
  header->max_chunks = header->chunk_count = 1;
  header->session = 1;
  munmap(at, kBytes);
  fds.emplace_back(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  AttachMessage message = attach_header(kMemoryFd | kPidFd);
  message.pid = pid;
  return raw_message(message, std::move(fds));
}

bool can_open(rlim_t descriptors) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= descriptors) return true;
  WARN("not checked: needs " << descriptors << " descriptors, the hard limit is " << limit.rlim_max);
  return false;
}

TEST_CASE("an answer larger than the socket comes whole, in messages that a reader takes") {
  Replies replies;
  Pair pair = make_pair();
  const std::string text = long_text();
  replies.add(std::move(pair.agent), text, absl::UnixEpoch());
  CHECK(replies.size() == 1);
  std::vector<pollfd> fds;
  replies.add_to(&fds);
  CHECK(fds.size() == 1);
  CHECK(read_to_end(replies, pair.reader.get()) == text);
  CHECK(replies.size() == 0);
}

TEST_CASE("readers that don't read or are gone are let go") {
  Replies replies;
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < Replies::kMost; ++i) {
    pairs.push_back(make_pair());
    replies.add(std::move(pairs.back().agent), long_text(), absl::UnixEpoch());
  }
  CHECK(replies.size() == Replies::kMost);
  pairs[0].reader.reset();
  replies.send_some(absl::UnixEpoch());
  CHECK(replies.size() == Replies::kMost - 1);
  replies.send_some(absl::UnixEpoch() + Replies::kPatience);
  CHECK(replies.size() == Replies::kMost - 1);
  replies.send_some(absl::UnixEpoch() + Replies::kPatience + absl::Seconds(1));
  CHECK(replies.size() == 0);
}

TEST_CASE("a reader that hung up before its answer was made is known to be gone") {
  Pair pair = make_pair();
  const StatusRequest request{kStatusMagic, kHandshakeVersion};
  REQUIRE(send(pair.reader.get(), &request, sizeof request, 0) == sizeof request);
  CHECK_FALSE(has_hung_up(pair.agent.get()));
  pair.reader.reset();
  CHECK(has_hung_up(pair.agent.get()));
}

TEST_CASE("with too many answers under way the next reader hears the end at once") {
  Replies replies;
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i <= Replies::kMost; ++i) {
    pairs.push_back(make_pair());
    replies.add(std::move(pairs.back().agent), long_text(), absl::UnixEpoch());
  }
  CHECK(replies.size() == Replies::kMost);
  char byte = 0;
  CHECK(recv(pairs.back().reader.get(), &byte, 1, 0) == 0);
}

TEST_CASE("five thousand processes are in one answer, whoever else doesn't read his") {
  if (!can_open(6000)) return;
  spdlog::set_level(spdlog::level::warn);  // not a line for each
  const AgentPlace place;
  RunningAgent running(place, quick_settings());
  constexpr std::int32_t kProcesses = 5000;
  for (std::int32_t pid = 1; pid <= kProcesses; ++pid) {
    const auto agent = connect_to_agent(place.path());
    REQUIRE(agent.ok());
    REQUIRE(send_message(agent->get(), message_of(pid)).ok());
  }
  const auto deaf = connect_to_agent(place.path());
  REQUIRE(deaf.ok());
  const StatusRequest request{kStatusMagic, kHandshakeVersion};
  REQUIRE(send(deaf->get(), &request, sizeof request, MSG_NOSIGNAL) == sizeof request);
  REQUIRE(comes_true([&] { return running.status()["attached"] == kProcesses; }));
  const nlohmann::json status = running.status();
  std::set<int> pids;
  for (const nlohmann::json& process : status["processes"]) pids.insert(process["pid"].get<int>());
  CHECK(pids.size() == kProcesses);
  CHECK(*pids.rbegin() == kProcesses);
  CHECK(status["refused"] == 0);
}

TEST_CASE("another user is told nothing") {
  if (geteuid() != 0) {
    WARN("not checked: becoming another user needs root");
    return;
  }
  const AgentPlace place;
  const pid_t stranger = fork();  // before the agent's threads
  if (stranger == 0) {
    if (setuid(kNobody) != 0) _exit(2);
    for (int i = 0; i < 1000; ++i, usleep(10'000)) {
      if (connect_to_agent(place.path()).ok()) _exit(ask_status(place.path()).ok() ? 1 : 0);
    }
    _exit(3);
  }
  RunningAgent running(place, quick_settings());
  int status = -1;
  CHECK(waitpid(stranger, &status, 0) == stranger);
  CHECK(status == 0);
  CHECK(running.status()["agent_pid"] == getpid());
}

}  // namespace
}  // namespace siprof::client
