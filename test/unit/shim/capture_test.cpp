// SPDX-License-Identifier: Apache-2.0
// A made-up context over a made-up stack, captured and read back by the agent's reader.
#include "shim/core/capture.h"

#include <signal.h>
#include <sys/mman.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "collector-client/drain/chunk_reader.h"
#include "shim/base/arch.h"
#include "test/unit/shim/test_pool.h"

namespace siprof::shim {
namespace {

using client::ChunkReader;
using client::RawSample;

constexpr std::size_t kPage = 4096;

// Three pages that hold a pattern, then one that can't be read.
class FakeStack {
 public:
  FakeStack() {
    memory_ = static_cast<std::uint8_t*>(
        mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (std::size_t i = 0; i < 3 * kPage; ++i) memory_[i] = static_cast<std::uint8_t>(i * 13 + i / 256);
    mprotect(memory_ + 3 * kPage, kPage, PROT_NONE);
  }
  ~FakeStack() { munmap(memory_, 4 * kPage); }
  std::uint64_t low() const { return reinterpret_cast<std::uint64_t>(memory_); }
  std::uint64_t high() const { return low() + 3 * kPage; }

 private:
  std::uint8_t* memory_;
};

struct Scene {
  FakeStack stack;
  TestPool pool{16};
  ThreadState thread{};
  ucontext_t context{};
  ChunkReader reader{pool.chunks(), 16};

  explicit Scene(std::uint64_t below_top) {
    thread.tid = 77;
    thread.serial = 3;
    context.uc_stack.ss_flags = SS_DISABLE;
    for (int i = 0; i < NGREG; ++i) context.uc_mcontext.gregs[i] = 1000 + i;
    context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(stack.high() - below_top);
  }
  std::vector<RawSample> take() {
    capture(pool.header(), 1, thread, {EventKind::kCpu, 5, {2, 10'000'000}}, &context);
    std::vector<RawSample> out;
    reader.drain([&](const RawSample& sample) { out.push_back(sample); }, /*final=*/true);
    return out;
  }
  std::uint64_t counted(Counter counter) const {
    return pool.header()->counters[static_cast<std::uint32_t>(counter)].load();
  }
  void on_own_stack() {
    thread.stack_low = stack.low();
    thread.stack_high = stack.high();
  }
};

void check_stack(const RawSample& sample, std::size_t bytes) {
  REQUIRE(sample.stack.size() == bytes);
  CHECK(memcmp(sample.stack.data(), reinterpret_cast<const void*>(sample.record.stack_start), bytes) == 0);
}

TEST_CASE("a capture holds registers in DWARF order and the stack up to its top") {
  Scene scene(/*below_top=*/1000);
  scene.on_own_stack();
  const std::vector<RawSample> samples = scene.take();
  REQUIRE(samples.size() == 1);
  const SampleFields& record = samples[0].record;
  check_stack(samples[0], 1000 + kRedZoneBytes);
  CHECK(record.registers[kRegisterIp] == 1000 + REG_RIP);
  CHECK(record.registers[kRegisterSp] == scene.stack.high() - 1000);
  CHECK(record.registers[6] == 1000 + REG_RBP);
  CHECK(record.head.tid == 77);
  CHECK(record.head.values[kCpuTicks] == 2);
  CHECK(record.head.flags == 0);
  CHECK(scene.counted(Counter::samples) == 1);
  CHECK(scene.counted(Counter::ticks) == 2);
}

TEST_CASE("a stack deeper than the copy is cut, flagged and counted") {
  Scene scene(/*below_top=*/3 * kPage);
  scene.on_own_stack();
  const std::vector<RawSample> samples = scene.take();
  REQUIRE(samples.size() == 1);
  check_stack(samples[0], kMaxStackBytes);
  CHECK(samples[0].record.head.flags == kStackCut);
  CHECK(scene.counted(Counter::stack_cut) == 1);
}

// The agent's turn comes in the middle of the copy: when it reaches this page.
struct AgentsTurn {
  std::uint64_t page;
  ChunkReader* reader;
  std::vector<RawSample> taken;
} g_turn;

void take_turn(int, siginfo_t*, void*) {
  g_turn.reader->drain([](const RawSample& sample) { g_turn.taken.push_back(sample); }, /*final=*/false);
  mprotect(reinterpret_cast<void*>(g_turn.page), kPage, PROT_READ);
}

TEST_CASE("the pieces of a stack belong to it also when the agent is quicker than the copy") {
  Scene scene(/*below_top=*/2 * kPage - 200);  // three chunks
  scene.on_own_stack();
  scene.thread.readable_low = scene.stack.low();
  g_turn = {scene.stack.low() + 2 * kPage, &scene.reader, {}};
  struct sigaction turn {
  }, before{};
  turn.sa_sigaction = take_turn;
  turn.sa_flags = SA_SIGINFO;
  REQUIRE(sigaction(SIGSEGV, &turn, &before) == 0);
  mprotect(reinterpret_cast<void*>(g_turn.page), kPage, PROT_NONE);
  std::vector<RawSample> samples = scene.take();
  sigaction(SIGSEGV, &before, nullptr);
  CHECK(g_turn.taken.empty());
  REQUIRE(samples.size() == 1);
  check_stack(samples[0], 2 * kPage - 200 + kRedZoneBytes);
  CHECK(scene.reader.statistics().malformed == 0);
}

TEST_CASE("a guard page within the thread's stack ends the copy and isn't touched") {
  // As the stack of a fiber that lies in it has one above.
  Scene scene(/*below_top=*/1000);
  scene.on_own_stack();
  scene.thread.stack_high += kPage;
  const std::vector<RawSample> samples = scene.take();
  REQUIRE(samples.size() == 1);
  check_stack(samples[0], 1000 + kRedZoneBytes);
  CHECK((samples[0].record.head.flags & kStackForeign) != 0);
}

TEST_CASE("a stack pointer in the guard page below the thread's stack isn't followed") {
  Scene scene(/*below_top=*/0);
  scene.thread.stack_low = scene.stack.low() + kPage;
  scene.thread.stack_high = scene.stack.high();
  mprotect(reinterpret_cast<void*>(scene.stack.low() + kPage), kPage, PROT_NONE);
  scene.context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(scene.stack.low() + kPage + 200);
  const std::vector<RawSample> samples = scene.take();
  REQUIRE(samples.size() == 1);
  CHECK(samples[0].stack.empty());
  CHECK(scene.counted(Counter::stack_unreadable) == 1);
  // Further up it is as before.
  scene.context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(scene.stack.high() - 1000);
  CHECK(scene.take().at(0).record.head.flags == 0);
}

TEST_CASE("an unknown stack is read by the kernel up to where it ends") {
  Scene scene(/*below_top=*/1000);  // thread.stack_* are 0
  const std::vector<RawSample> samples = scene.take();
  REQUIRE(samples.size() == 1);
  check_stack(samples[0], 1000 + kRedZoneBytes);
  CHECK((samples[0].record.head.flags & kStackForeign) != 0);
}

TEST_CASE("an unreadable stack leaves the registers and is counted") {
  Scene scene(/*below_top=*/0);
  const std::vector<RawSample> samples = scene.take();
  REQUIRE(samples.size() == 1);
  CHECK(samples[0].stack.empty());
  CHECK(samples[0].record.registers[kRegisterIp] == 1000 + REG_RIP);
  CHECK(scene.counted(Counter::stack_unreadable) == 1);
}

TEST_CASE("on an alternate stack the copy ends at that stack's end") {
  Scene scene(/*below_top=*/3000);
  scene.context.uc_stack.ss_flags = 0;
  scene.context.uc_stack.ss_sp = reinterpret_cast<void*>(scene.stack.low());
  scene.context.uc_stack.ss_size = 3 * kPage - 1000;
  const std::vector<RawSample> samples = scene.take();
  REQUIRE(samples.size() == 1);
  check_stack(samples[0], 2000 + kRedZoneBytes);
}

TEST_CASE("with the pool full the sample is dropped and its ticks are counted") {
  Scene scene(/*below_top=*/1000);
  scene.on_own_stack();
  for (std::uint32_t i = 0; i < 16; ++i) scene.pool.chunk(i).owner = 1;
  CHECK(scene.take().empty());
  CHECK(scene.counted(Counter::lost_pool_full) == 2);
  CHECK(scene.counted(Counter::samples) == 0);
}

TEST_CASE("with the pool full in the middle of a stack what was copied arrives") {
  Scene scene(/*below_top=*/2 * kPage);
  scene.on_own_stack();
  for (std::uint32_t i = 1; i < 16; ++i) scene.pool.chunk(i).owner = 1;
  const std::vector<RawSample> samples = scene.take();
  REQUIRE(samples.size() == 1);
  check_stack(samples[0], kChunkPayloadBytes - sizeof(SampleRecord));
  CHECK(samples[0].record.stack_bytes == 2 * kPage);
  CHECK(scene.counted(Counter::stack_cut_pool) == 1);
}

}  // namespace
}  // namespace siprof::shim
