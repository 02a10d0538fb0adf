// SPDX-License-Identifier: Apache-2.0
// The agent in this process, its processes as children: what they write comes out as
// profiles, whole, however they end.
#include "collector-client/agent/agent.h"

#include <atomic>
#include <catch2/catch.hpp>

#include "test/unit/collector-client/agent/fake_process.h"
#include "test/unit/collector-client/agent/running_agent.h"

namespace siprof::client {
namespace {

constexpr std::int64_t kPeriodNs = 10'000'000;  // of write_sample

TEST_CASE("what a process wrote comes out with its totals, and the agent ends after it") {
  const AgentPlace place;
  FakeProcess process(place.path());
  const pid_t pid = process.pid();
  RunningAgent running(place, quick_settings());
  REQUIRE(process.attach());
  REQUIRE(process.write(700));
  SECTION("at its exit") {
    process.exit();
  }
  SECTION("when it is killed") {
    process.kill_now();
  }
  running.wait();
  CHECK(running.exporter.total(0) == 700);
  CHECK(running.exporter.total(1) == 700 * kPeriodNs);
  CHECK(running.exporter.total(0, pid) == 700);
  const std::vector<FinishedProfile> profiles = running.exporter.profiles();
  REQUIRE(!profiles.empty());
  CHECK(profiles[0].kind == "cpu");
  CHECK(profiles[0].attributes.at("service.name") == "shop");
  std::uint64_t counted = 0;
  for (const FinishedProfile& profile : profiles) {
    const auto samples = profile.counters.find("samples");
    if (samples != profile.counters.end()) counted += samples->second;
  }
  CHECK(counted == 700);
}

// The worker of these tests can't name anything.
TEST_CASE("what finishing could not do is in the profiles' counters, each once") {
  const AgentPlace place;
  FakeProcess process(place.path());
  AgentSettings settings = quick_settings();
  settings.window = absl::Milliseconds(200);
  RunningAgent running(place, settings);
  REQUIRE(process.attach());
  for (std::int64_t round = 1; round <= 3; ++round) {
    REQUIRE(process.write(5));
    REQUIRE(comes_true([&] { return running.exporter.total(0) == round * 5; }));
  }
  process.exit();
  running.wait();
  std::uint64_t failures = 0;
  std::uint64_t dropped = 0;
  for (const FinishedProfile& profile : running.exporter.profiles()) {
    const auto failed = profile.counters.find("symbolizer_worker_failures");
    if (failed != profile.counters.end()) failures += failed->second;
    const auto full = profile.counters.find("spool_dropped_full");
    if (full != profile.counters.end()) dropped += full->second;
    CHECK_FALSE(profile.counters.contains("sent"));
    if (!unpack_profile(profile.pprof_gzip)->sample().empty())
      CHECK(profile.counters.at("unsymbolized") >= 1);
    CHECK_FALSE(profile.counters.contains("profiles_lost"));
  }
  // With debug information and without; after these two the file is left alone.
  CHECK(failures == 2);
  CHECK(dropped == 3);
}

TEST_CASE("the agent's own cost is in the profile of a program that has ended before") {
  const AgentPlace place;
  FakeProcess process(place.path());
  RunningAgent running(place, quick_settings());
  REQUIRE(process.attach());
  REQUIRE(process.write(5));
  process.exit();
  running.wait();
  const std::vector<FinishedProfile> profiles = running.exporter.profiles();
  REQUIRE(profiles.size() == 1);
  CHECK(profiles[0].counters.at("agent_cpu_ns") > 0);
  CHECK(profiles[0].counters.at("agent_rss_bytes") > 100'000);
}

TEST_CASE("stopping the agent loses nothing of a process that lives on") {
  const AgentPlace place;
  FakeProcess process(place.path());
  RunningAgent running(place, quick_settings());
  REQUIRE(process.attach());
  REQUIRE(process.write(250));
  SECTION("once it is known") {
    REQUIRE(comes_true([&] { return running.status()["attached"] == 1; }));
  }
  SECTION("in the moment it attaches") {}
  running.stop_and_wait();
  CHECK(running.exporter.total(0) == 250);
}

TEST_CASE("a process that attaches again is one process, and no sample of either memory is lost") {
  const AgentPlace place;
  FakeProcess process(place.path());
  RunningAgent running(place, quick_settings());
  for (const std::uint32_t samples : {300, 200, 100}) {
    REQUIRE(process.attach());
    REQUIRE(process.write(samples));
  }
  REQUIRE(comes_true([&] { return running.status()["attached"] == 3; }));
  CHECK(running.status()["processes"].size() == 1);
  process.exit();
  running.wait();
  CHECK(running.exporter.total(0) == 600);
}

TEST_CASE("processes are told apart by their pid and summed in one series") {
  const AgentPlace place;
  FakeProcess one(place.path());
  FakeProcess two(place.path());
  RunningAgent running(place, quick_settings());
  REQUIRE((one.attach() && two.attach()));
  REQUIRE((one.write(100) && two.write(50) && one.write(20)));
  const pid_t pids[] = {one.pid(), two.pid()};
  one.exit();
  two.exit();
  running.wait();
  CHECK(running.exporter.total(0, pids[0]) == 120);
  CHECK(running.exporter.total(0, pids[1]) == 50);
}

TEST_CASE("a message that came before there was an agent is the first process") {
  const AgentPlace place;
  FakeProcess process(place.path());
  RunningAgent running(place, quick_settings(), process.message());
  REQUIRE(process.write(40));
  process.exit();
  running.wait();
  CHECK(running.exporter.total(0) == 40);
}

TEST_CASE("profiles are cut while a process runs") {
  const AgentPlace place;
  FakeProcess process(place.path());
  AgentSettings settings = quick_settings();
  settings.window = absl::Milliseconds(200);
  RunningAgent running(place, settings);
  REQUIRE(process.attach());
  for (std::int64_t round = 1; round <= 3; ++round) {
    REQUIRE(process.write(10));
    CHECK(comes_true([&] { return running.exporter.total(0) == round * 10; }));
  }
  CHECK(running.exporter.profiles().size() >= 3);
}

// Every second look at the wall clock takes 40 ms, as if the machine had been busy before it.
class HesitantClock : public Clock {
 public:
  absl::Time now() const override {
    if (looks_++ % 2 == 0) usleep(40'000);
    return Clock::system().now();
  }
  std::int64_t monotonic_ns() const override { return Clock::system().monotonic_ns(); }

 private:
  mutable std::atomic<int> looks_ = 0;
};

TEST_CASE("windows have their length also when it takes long to cut one") {
  const AgentPlace place;
  const HesitantClock clock;
  FakeProcess process(place.path());
  AgentSettings settings = quick_settings();
  settings.window = absl::Milliseconds(200);
  settings.clock = &clock;
  RunningAgent running(place, settings);
  REQUIRE(process.attach());
  for (std::int64_t round = 1; round <= 8; ++round) {
    REQUIRE(process.write(10));
    REQUIRE(comes_true([&] { return running.exporter.total(0) == round * 10; }));
  }
  const std::vector<FinishedProfile> profiles = running.exporter.profiles();
  REQUIRE(profiles.size() >= 8);
  // The first one began with the agent.
  for (std::size_t i = 1; i < profiles.size(); ++i) CHECK(profiles[i].duration > absl::Milliseconds(100));
}

TEST_CASE("a configuration changes the words of the processes it is for") {
  const AgentPlace place;
  FakeProcess process(place.path());
  RunningAgent running(place, quick_settings());
  REQUIRE(process.attach());
  REQUIRE(comes_true([&] { return process.control().heartbeat_ns != 0; }));
  CHECK(process.control().generation == 0);  // nothing was asked for: what it started with

  v1::Configuration configuration;
  v1::ServiceConfiguration* other = configuration.add_services();
  other->set_service("another");
  other->set_hz(11);
  v1::ServiceConfiguration* ours = configuration.add_services();
  ours->set_service("shop");
  ours->set_hz(37);
  running.agent().configure(configuration);
  REQUIRE(comes_true([&] { return process.control().generation == 1; }));
  CHECK(process.control().hz == 37);
  CHECK(process.control().kinds == kKindCpu);

  ours->set_kinds("heap,lock");
  ours->set_hz(99'999);
  running.agent().configure(configuration);
  REQUIRE(comes_true([&] { return process.control().generation == 2; }));
  CHECK(process.control().hz == 1000);
  CHECK(process.control().kinds == (kind_bit(EventKind::kHeap) | kind_bit(EventKind::kLock)));

  // Also for those that come later; and without a rule what the process asked for.
  REQUIRE(process.attach());
  CHECK(comes_true([&] { return process.control().hz == 1000; }));
  running.agent().configure(v1::Configuration());
  CHECK(comes_true([&] { return process.control().hz == 100 && process.control().kinds == kKindCpu; }));
}

TEST_CASE("a heartbeat comes often enough for the process to believe in the agent") {
  const AgentPlace place;
  FakeProcess process(place.path());
  RunningAgent running(place, quick_settings());
  REQUIRE(process.attach());
  std::uint64_t last = 0;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(comes_true([&] { return process.control().heartbeat_ns > last; }));
    const std::uint64_t now = process.control().heartbeat_ns;
    if (last != 0) CHECK(now - last < kHeartbeatStaleNs);
    last = now;
  }
}

TEST_CASE("without processes the agent lingers, or stays until it is told to stop") {
  const AgentPlace place;
  AgentSettings settings = quick_settings();
  const absl::Time start = absl::Now();
  SECTION("lingers") {
    RunningAgent running(place, settings);
    running.wait();
    CHECK(absl::Now() - start >= settings.linger);
    CHECK(absl::Now() - start < absl::Seconds(10));
    CHECK(running.exporter.profiles().empty());
  }
  SECTION("stays") {
    settings.linger = absl::InfiniteDuration();
    RunningAgent running(place, settings);
    usleep(700'000);
    CHECK(running.status()["attached"] == 0);
    running.stop_and_wait();
  }
}

}  // namespace
}  // namespace siprof::client
