// SPDX-License-Identifier: Apache-2.0
// The agent ends after its last process, whatever goes wrong: workers that hang, clocks that
// are set back, processes that nobody reaps.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "test/unit/collector-client/agent/fake_process.h"
#include "test/unit/collector-client/agent/running_agent.h"

namespace siprof::client {
namespace {

constexpr absl::Duration kSoon =
    absl::Seconds(8);  // on a machine under load; what it guards against is minutes

// A symbol worker that takes every request and answers none.
class HangingWorker {
 public:
  HangingWorker() {
    std::ofstream(path()) << "#!/bin/sh\nexec sleep 1000\n";
    std::filesystem::permissions(path(), std::filesystem::perms::owner_all);
  }
  std::string path() const { return folder_.path() + "/worker"; }

 private:
  TemporaryFolder folder_;
};

// The machine's clocks, the wall clock moved.
class MovedClock : public Clock {
 public:
  absl::Time now() const override {
    return Clock::system().now() + absl::Seconds(seconds_.load(std::memory_order_relaxed));
  }
  std::int64_t monotonic_ns() const override { return Clock::system().monotonic_ns(); }
  void move(std::int64_t seconds) { seconds_.store(seconds, std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> seconds_{0};
};

TEST_CASE("a symbol worker that hangs holds up neither the end nor the next agent") {
  const AgentPlace place;
  const HangingWorker worker;
  FakeProcess process(place.path());
  AgentSettings settings = quick_settings();
  settings.symbols.worker_program = worker.path();
  settings.finish_within = absl::Seconds(2);
  RunningAgent running(place, settings);
  REQUIRE(process.attach());
  REQUIRE(process.write(30));
  // Where its code is has to be known: nobody is asked for a name otherwise.
  REQUIRE(comes_true([&] { return running.status()["attached"] == 1; }));
  const absl::Time start = absl::Now();
  process.exit();
  // Once it only finishes what it has, the place is free.
  REQUIRE(comes_true([&] { return !connect_to_agent(place.path()).ok(); }));
  CHECK(running.exporter.profiles().empty());
  const auto next = Listener::open("", place.path(), 0600);
  CHECK(next.ok());
  running.wait();
  CHECK(absl::Now() - start < kSoon);
  CHECK(running.exporter.total(0) == 30);
  CHECK(connect_to_agent(place.path()).ok());
}

TEST_CASE("a wall clock that is set back delays nothing") {
  const AgentPlace place;
  MovedClock clock;
  FakeProcess process(place.path());
  AgentSettings settings = quick_settings();
  settings.clock = &clock;
  settings.window = absl::Milliseconds(200);
  RunningAgent running(place, settings);
  REQUIRE(process.attach());
  REQUIRE(process.write(10));
  REQUIRE(comes_true([&] { return running.exporter.total(0) == 10; }));
  clock.move(-3600);
  REQUIRE(process.write(10));
  CHECK(comes_true([&] { return running.exporter.total(0) == 20; }));
  for (const FinishedProfile& profile : running.exporter.profiles())
    CHECK(profile.duration > absl::ZeroDuration());
  const std::uint64_t beat = process.control().heartbeat_ns;
  CHECK(comes_true([&] { return process.control().heartbeat_ns > beat; }));
  process.exit();
  clock.move(-7200);
  const absl::Time start = absl::Now();
  running.wait();
  CHECK(absl::Now() - start < kSoon);
}

TEST_CASE("a process that has ended and isn't reaped has ended, also without a pidfd") {
  const AgentPlace place;
  const bool with_pid_fd = GENERATE(true, false);
  FakeProcess process(place.path(), {.with_pid_fd = with_pid_fd});
  RunningAgent running(place, quick_settings());
  REQUIRE(process.attach());
  REQUIRE(process.write(15));
  REQUIRE(comes_true([&] { return running.status()["attached"] == 1; }));
  process.become_zombie();
  const absl::Time start = absl::Now();
  running.wait();
  CHECK(absl::Now() - start < kSoon);
  CHECK(running.exporter.total(0) == 15);
}

}  // namespace
}  // namespace siprof::client
