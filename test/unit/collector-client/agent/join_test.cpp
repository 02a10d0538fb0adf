// SPDX-License-Identifier: Apache-2.0
// Who may join an agent, what it answers to others, and what it says of itself.
#include <sys/resource.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <ctime>
#include <filesystem>

#include "test/unit/collector-client/agent/fake_process.h"
#include "test/unit/collector-client/agent/running_agent.h"

namespace siprof::client {
namespace {

constexpr uid_t kNobody = 65534;

bool is_root() {
  if (geteuid() == 0) return true;
  WARN("not checked: becoming another user needs root");
  return false;
}

TEST_CASE("status names the processes with their counters, and the exporter's") {
  const AgentPlace place;
  FakeProcess process(place.path());
  RunningAgent running(place, quick_settings());
  REQUIRE(process.attach());
  REQUIRE(process.write(30));
  REQUIRE(comes_true([&] {
    const nlohmann::json status = running.status();
    return status["processes"].size() == 1 && status["processes"][0]["samples"] == 30;
  }));
  const nlohmann::json status = running.status();
  CHECK(status["agent_pid"] == getpid());
  CHECK(status["attached"] == 1);
  CHECK(status["refused"] == 0);
  CHECK(status["exporter"]["sent"] == 7);
  const nlohmann::json& one = status["processes"][0];
  CHECK(one["pid"] == process.pid());
  CHECK(one["service"] == "shop");
  CHECK(one["executable"] == "/bin/app");
  CHECK(one["hz"] == 100);
  CHECK(one["cpu"] == true);
  CHECK(one["counters"]["samples"] == 30);
  CHECK(one["counters"].size() == kCounterCount);
}

TEST_CASE("garbage is refused, counted, and disturbs nobody") {
  const AgentPlace place;
  FakeProcess process(place.path());
  RunningAgent running(place, quick_settings());
  REQUIRE(process.attach());
  for (const std::size_t bytes :
       {std::size_t{1}, sizeof(StatusRequest), sizeof(AttachMessage), std::size_t{60'000}}) {
    const auto fd = connect_to_agent(place.path());
    REQUIRE(fd.ok());
    const std::string garbage(bytes, 'g');
    REQUIRE(send(fd->get(), garbage.data(), garbage.size(), 0) > 0);
  }
  const auto silent = connect_to_agent(place.path());  // never says anything
  REQUIRE(silent.ok());
  REQUIRE(comes_true([&] { return running.status()["refused"] == 4; }));
  REQUIRE(process.write(20));
  process.exit();
  running.wait();
  CHECK(running.exporter.total(0) == 20);
}

TEST_CASE("another user's process is refused") {
  if (!is_root()) return;
  const AgentPlace place;
  FakeProcess stranger(place.path(), {.uid = kNobody});
  RunningAgent running(place, quick_settings());
  REQUIRE(stranger.attach());
  REQUIRE(comes_true([&] { return running.status()["refused"] == 1; }));
  CHECK(running.status()["attached"] == 0);
}

TEST_CASE("an agent that is open takes whoever reaches its socket") {
  if (!is_root()) return;
  const AgentPlace place;
  FakeProcess stranger(place.path(), {.uid = kNobody});
  AgentSettings settings = quick_settings();
  settings.open_to_others = true;
  RunningAgent running(place, settings);
  REQUIRE(stranger.attach());
  CHECK(comes_true([&] { return running.status()["attached"] == 1; }));
}

TEST_CASE("a child that changed its user proves itself by what it inherited") {
  if (!is_root()) return;
  const AgentPlace place;
  FakeProcess parent(place.path(), {.secret = 42});
  FakeProcess child(place.path(), {.uid = kNobody, .secret = 42});
  FakeProcess guesser(place.path(), {.uid = kNobody, .secret = 43});
  RunningAgent running(place, quick_settings());
  REQUIRE(parent.attach());
  REQUIRE(comes_true([&] { return running.status()["attached"] == 1; }));
  REQUIRE(child.attach());
  CHECK(comes_true([&] { return running.status()["attached"] == 2; }));
  REQUIRE(guesser.attach());
  CHECK(comes_true([&] { return running.status()["refused"] == 1; }));
}

// All zero is what a process sends that got no random bytes: everybody knows it.
TEST_CASE("the secret of a process that has none opens nothing") {
  if (!is_root()) return;
  const AgentPlace place;
  FakeProcess known(place.path(), {.secret = 0});
  FakeProcess stranger(place.path(), {.uid = kNobody, .secret = 0});
  RunningAgent running(place, quick_settings());
  REQUIRE(known.attach());
  REQUIRE(comes_true([&] { return running.status()["attached"] == 1; }));
  REQUIRE(stranger.attach());
  CHECK(comes_true([&] { return running.status()["refused"] == 1; }));
  CHECK(running.status()["attached"] == 1);
}

// Connects so many times as another user, when told to, and says nothing.
class SilentCrowd {
 public:
  SilentCrowd(const std::string& path, uid_t uid, int connections) {
    if (pipe2(go_, O_CLOEXEC) != 0) abort();
    pid_ = fork();
    if (pid_ != 0) return;
    char ignored = 0;
    if (setuid(uid) != 0 || read(go_[0], &ignored, 1) != 1) _exit(1);
    std::vector<UniqueFd> open;
    for (int i = 0; i < connections; ++i) {
      auto fd = connect_to_agent(path);
      if (fd.ok()) open.push_back(*std::move(fd));
    }
    pause();
  }
  ~SilentCrowd() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    close(go_[0]);
    close(go_[1]);
  }
  SilentCrowd(const SilentCrowd&) = delete;
  SilentCrowd& operator=(const SilentCrowd&) = delete;
  bool start() { return ::write(go_[1], "g", 1) == 1; }

 private:
  int go_[2] = {-1, -1};
  pid_t pid_ = -1;
};

std::ptrdiff_t open_files() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

TEST_CASE("connections of others that say nothing use up no descriptors") {
  if (!is_root()) return;
  const AgentPlace place;
  FakeProcess process(place.path());
  SilentCrowd crowd(place.path(), kNobody, 400);
  AgentSettings settings = quick_settings();
  settings.open_to_others = GENERATE(false, true);
  RunningAgent running(place, settings);
  REQUIRE(running.status()["attached"] == 0);
  const std::ptrdiff_t before = open_files();
  REQUIRE(crowd.start());
  std::ptrdiff_t most = 0;
  for (int i = 0; i < 50; ++i, usleep(10'000)) most = std::max(most, open_files());
  CHECK(most > before);
  CHECK(most - before < 40);
  REQUIRE(process.attach());
  CHECK(comes_true([&] { return running.status()["attached"] == 1; }));
}

TEST_CASE("without descriptors the agent waits until there are some, and doesn't spin") {
  const AgentPlace place;
  FakeProcess process(place.path());
  RunningAgent running(place, quick_settings());
  REQUIRE(running.status()["attached"] == 0);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{3, before.rlim_max};  // those that are open stay open
  setrlimit(RLIMIT_NOFILE, &none);
  CHECK(process.attach());
  const std::clock_t start = std::clock();
  usleep(400'000);
  const std::clock_t used = std::clock() - start;
  setrlimit(RLIMIT_NOFILE, &before);
  CHECK(used < CLOCKS_PER_SEC / 10);
  CHECK(comes_true([&] { return running.status()["attached"] == 1; }));
}

TEST_CASE("the last descriptors are the agent's own") {
  const AgentPlace place;
  FakeProcess process(place.path());
  RunningAgent running(place, quick_settings());
  REQUIRE(running.status()["attached"] == 0);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit few{static_cast<rlim_t>(open_files()) + 4, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &few);
  CHECK(process.attach());
  usleep(100'000);
  setrlimit(RLIMIT_NOFILE, &before);
  CHECK(comes_true([&] { return running.status()["refused"] == 1; }));
  CHECK(running.status()["attached"] == 0);
}

}  // namespace
}  // namespace siprof::client
