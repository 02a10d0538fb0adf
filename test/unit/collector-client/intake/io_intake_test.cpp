// SPDX-License-Identifier: Apache-2.0
// Samples and sums of blocking calls, as a process says them: what becomes of them, also of impossible ones.
#include <arpa/inet.h>

#include <cstring>

#include "collector-client/base/tick_scale.h"
#include "collector-client/intake/io_target_text.h"
#include "test/unit/collector-client/intake/fixtures.h"

namespace siprof::client {
namespace {

std::string packed(const IoTarget& target) {
  return std::string(reinterpret_cast<const char*>(&target), sizeof(target));
}
IoTarget tcp(const char* peer, std::uint16_t peer_port, std::uint16_t local_port) {
  IoTarget target{};
  target.kind = IoTargetKind::kTcp;
  target.has_peer = 1;
  target.is_ipv6 = strchr(peer, ':') != nullptr ? 1 : 0;
  target.peer_port = peer_port;
  target.local_port = local_port;
  REQUIRE(inet_pton(target.is_ipv6 != 0 ? AF_INET6 : AF_INET, peer, target.peer_address) == 1);
  return target;
}
IoTarget of_kind(IoTargetKind kind) {
  IoTarget target{};
  target.kind = kind;
  return target;
}

TEST_CASE("a descriptor is told by what it is") {
  CHECK(text_of_target(packed(of_kind(IoTargetKind::kFile))) == "file");
  CHECK(text_of_target(packed(of_kind(IoTargetKind::kPipe))) == "pipe");
  CHECK(text_of_target(packed(of_kind(IoTargetKind::kAnonymous))) == "anonymous");
  CHECK(text_of_target(packed(of_kind(IoTargetKind::kUdp))) == "udp");
  CHECK(text_of_target(packed(of_kind(IoTargetKind::kNone))).empty());
  IoTarget listener = of_kind(IoTargetKind::kTcpListen);
  listener.local_port = 80;
  CHECK(text_of_target(packed(listener)) == "tcp listen :80");
}

TEST_CASE("a connection is told by its other end, an accepted one by its own") {
  CHECK(text_of_target(packed(tcp("10.0.0.1", 80, 40000))) == "tcp 10.0.0.1:80");
  CHECK(text_of_target(packed(tcp("fe80::1", 5432, 40000))) == "tcp [fe80::1]:5432");
  CHECK(text_of_target(packed(tcp("10.0.0.7", 51234, 80))) == "tcp :80 from 10.0.0.7");
  CHECK(text_of_target(packed(tcp("10.0.0.7", 20000, 8080))) == "tcp :8080 from 10.0.0.7");
  // Which of two such ports was given out for this connection can't be told, so neither is a name.
  CHECK(text_of_target(packed(tcp("10.0.0.7", 43210, 50051))) == "tcp 10.0.0.7");
}

TEST_CASE("what is no descriptor's description is no label") {
  CHECK(text_of_target("").empty());
  CHECK(text_of_target("file").empty());
  CHECK(text_of_target(packed(of_kind(IoTargetKind::kCount))).empty());
  CHECK(text_of_target(std::string(sizeof(IoTarget), '\xff')).empty());
}

RawSample waited(std::uint64_t ns, std::uint64_t interval_ns, std::uint64_t bytes, std::uint64_t call) {
  RawSample sample{};
  sample.record.head.event = EventKind::kIo;
  sample.record.head.values[kIoWaitedNs] = ns;
  sample.record.head.values[kIoIntervalNs] = interval_ns;
  sample.record.head.values[kIoBytes] = bytes;
  sample.record.head.values[kIoCallId] = call;
  return sample;
}

struct Fixture {
  testing::SharedMemory memory;
  testing::Taker taken{memory, make_io_intake};

  void take(const RawSample& sample) { taken.take(sample, {}); }
  IoCell& cell(std::uint32_t bank) {
    return memory.io_bank(bank).cells[static_cast<std::uint32_t>(IoCall::k_read)];
  }
  void set(std::uint32_t bank, std::uint64_t calls, std::uint64_t bytes, std::uint64_t ns) {
    cell(bank).calls = calls;
    cell(bank).bytes = bytes;
    cell(bank).ns = ns;
  }
};

TEST_CASE_METHOD(Fixture, "a short wait stands for others, a long one for itself") {
  constexpr auto kRead = static_cast<std::uint64_t>(IoCall::k_read);
  take(waited(1'000, 1'000'000, 16, kRead));
  take(waited(5'000'000, 0, 16, static_cast<std::uint64_t>(IoCall::k_poll)));
  const Window window = taken.cut_without_account();
  REQUIRE(window.samples.size() == 2);
  for (const WindowSample& sample : window.samples) {
    REQUIRE(sample.labels.size() == 1);
    CHECK(sample.labels[0].key == "call");
    if (sample.labels[0].text == "poll") CHECK(sample.values == Values{1, 5'000'000, 16, 0});
    // 1 / (1 - exp(-1/1000))
    if (sample.labels[0].text != "read") continue;
    CHECK(sample.values[0] == Approx(1000.5).margin(1));
    CHECK(sample.values[1] == Approx(1'000'500).margin(1));
    CHECK(sample.values[2] == Approx(16'008).margin(1));
  }
}

TEST_CASE_METHOD(Fixture, "what samples stand for is not rounded away") {
  // Each stands for 2.54.
  for (int i = 0; i < 10'000; ++i) take(waited(50'000, 100'000, 1, 0));
  const Window window = taken.cut_without_account();
  REQUIRE(window.samples.size() == 1);
  CHECK(window.samples[0].values[0] == Approx(25'414).margin(4 * 0.5 * 100));
  CHECK(window.samples[0].values[2] == Approx(25'414).margin(4 * 0.5 * 100));
}

TEST_CASE_METHOD(Fixture, "numbers that no call can have do no harm") {
  constexpr std::uint64_t kAll = ~std::uint64_t{0};
  take(waited(1, 1, 1, kIoCallCount));
  take(waited(1, 1, 1, kAll));
  CHECK(taken.cut_without_account().samples.empty());
  take(waited(kAll, kAll, kAll, 0));
  take(waited(0, kAll, kAll, 1));
  for (const WindowSample& sample : taken.cut_without_account().samples) {
    for (const std::int64_t value : sample.values) CHECK(value >= 0);
  }
}

TEST_CASE_METHOD(Fixture, "sums of all banks are counted once, and never backwards") {
  set(0, 2, 300, 4000);
  set(kSharedIoBank, 1, 30, 400);
  Counters counters = taken.cut().counters;
  CHECK(counters["io_read_calls"] == 3);
  CHECK(counters["io_read_bytes"] == 330);
  CHECK(counters["io_read_ns"] == 4400);
  CHECK(counters.count("io_write_calls") == 0);
  cell(0).calls = 1;
  CHECK(taken.cut().counters.count("io_read_calls") == 0);
  cell(0).calls = 4;
  CHECK(taken.cut().counters["io_read_calls"] == 2);
}

TEST_CASE("a clock that the kernel doesn't count by the CPU's counter is not used") {
  TickScale other("/proc/self/comm");
  TickScale missing("/nonexistent");
  usleep(30'000);
  CHECK(other.get() == 0);
  CHECK(missing.get() == 0);
}

TEST_CASE("ticks become nanoseconds, where the kernel counts by them") {
  const std::string path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
  TickScale scale(path);
  usleep(50'000);
  const auto clock = [] {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
  };
  const double factor = static_cast<double>(scale.get()) / 0x1p32;
  if (factor == 0) return;  // another clock, or another machine
  const double ns = clock();
  const std::uint64_t ticks = __builtin_ia32_rdtsc();
  usleep(20'000);
  const auto passed = static_cast<double>(__builtin_ia32_rdtsc() - ticks);
  CHECK(passed * factor == Approx(clock() - ns).epsilon(0.01));
}

}  // namespace
}  // namespace siprof::client
