// SPDX-License-Identifier: Apache-2.0
// The handler's walker on stacks of this process, against the agent's unwinder.
#include "shim/core/stack_walk.h"

#include <signal.h>

#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "collector-client/unwind/unwinder.h"
#include "test/unit/collector-client/unwind/fixtures/chain.h"
#include "test/unit/collector-client/unwind/own_tables.h"
#include "test/unit/collector-client/unwind/self_capture.h"

namespace siprof::client {
namespace {

using shim::StackBounds;
using shim::WalkEnd;
using shim::WalkRegisters;
using shim::WalkResult;
using testing::OwnedStack;

OwnedStack* g_taken = nullptr;

extern "C" __attribute__((noinline, visibility("default"))) void take_stack_for_walk() {
  ucontext_t context;
  getcontext(&context);
  const auto here = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
  g_taken->take(context, 1 << 20, testing::mapping_end(here));
}

struct Fixture {
  ModuleCache cache;
  ModuleMap map{cache, std::make_shared<testing::PlainOpener>()};
  Unwinder unwinder;
  UnwoundStack expected;

  Fixture() { map.update(testing::own_maps()); }
};

WalkRegisters registers_of(const OwnedStack& owned) {
  const Registers& registers = owned.captured.registers;
  return {registers[kRip], registers[kRsp], registers[kRbp], &owned.context};
}

StackBounds bounds_of(const OwnedStack& owned) {
  return {owned.captured.stack_start, owned.captured.stack_start + owned.copy.size(),
          reinterpret_cast<std::uint64_t>(owned.copy.data()) - owned.captured.stack_start};
}

WalkResult walk(const OwnedStack& owned, const shim::CodeView& view, std::vector<std::uint64_t>* addresses) {
  addresses->assign(512, 0);
  const StackBounds bounds = bounds_of(owned);
  const WalkResult result = walk_stack(view, registers_of(owned), bounds, bounds, addresses->data(), 512);
  addresses->resize(result.frames);
  return result;
}

// Both ways give the same frames, to the thread's start.
void check_same(OwnedStack& owned) {
  Fixture fixture;
  testing::OwnTables tables(fixture.map);
  fixture.unwinder.unwind(owned.captured, fixture.map, fixture.expected);
  REQUIRE(fixture.expected.end == StackEnd::kThreadStart);
  for (const bool cached : {false, true, true}) {
    std::vector<std::uint64_t> addresses;
    CHECK(walk(owned, tables.view(cached), &addresses).end == WalkEnd::kComplete);
    REQUIRE(addresses.size() == fixture.expected.frames.size());
    for (std::size_t i = 0; i < addresses.size(); ++i)
      CHECK(fixture.map.locate(addresses[i]).address == fixture.expected.frames[i].address);
  }
}

OwnedStack capture(void (*chain)(void (*)())) {
  OwnedStack owned;
  g_taken = &owned;
  std::thread([&] { chain(take_stack_for_walk); }).join();
  return owned;
}

void on_signal(int) {
  take_stack_for_walk();
}

void raise_in_chain(void (*)()) {
  chain_without_frame_pointers([] {
    raise(SIGUSR1);
    asm volatile("");
  });
}

// An epilogue as compilers write it: fp is back in its register, and the call-frame information goes on
// saying that it lies where it was pushed.
asm(R"(
  .text
  .type stop_after_pop, @function
stop_after_pop:
  .cfi_startproc
  push %rbp
  .cfi_def_cfa_offset 16
  .cfi_offset %rbp, -16
  mov $1, %ebp
  pop %rbp
  .cfi_def_cfa_offset 8
  ud2
  ret
  .cfi_endproc
  .size stop_after_pop, . - stop_after_pop

  .type stop_by_rax, @function
stop_by_rax:
  .cfi_startproc
  mov %rsp, %rax
  .cfi_def_cfa_register %rax
  sub $24, %rsp
  ud2
  mov %rax, %rsp
  .cfi_def_cfa_register %rsp
  ret
  .cfi_endproc
  .size stop_by_rax, . - stop_by_rax

  .type stop_realigning, @function
stop_realigning:
  .cfi_startproc
  lea 8(%rsp), %r10
  .cfi_def_cfa %r10, 0
  and $-32, %rsp
  push -8(%r10)
  push %rbp
  .cfi_escape 0x10, 6, 2, 0x76, 0
  mov %rsp, %rbp
  ud2
  mov (%rbp), %rbp
  lea -8(%r10), %rsp
  .cfi_def_cfa %rsp, 8
  .cfi_restore %rbp
  ret
  .cfi_endproc
  .size stop_realigning, . - stop_realigning
)");
extern "C" void stop_after_pop();
extern "C" void stop_by_rax();
extern "C" void stop_realigning();
void (*g_stop)();

void take_interrupted(int, siginfo_t*, void* context) {
  auto* interrupted = static_cast<ucontext_t*>(context);
  const auto stack = static_cast<std::uint64_t>(interrupted->uc_mcontext.gregs[REG_RSP]);
  g_taken->take(*interrupted, 1 << 20, testing::mapping_end(stack));
  interrupted->uc_mcontext.gregs[REG_RIP] += 2;  // behind ud2
}

void stop_in_chain(void (*)()) {
  chain_with_frame_pointers([] {
    g_stop();
    asm volatile("");
  });
}

}  // namespace

TEST_CASE(
    "walked: where only what was interrupted tells the way: epilogues, other registers than sp and fp") {
  struct sigaction before = {};
  struct sigaction action = {};
  action.sa_sigaction = take_interrupted;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGILL, &action, &before);
  for (void (*stop)() : {stop_after_pop, stop_by_rax, stop_realigning}) {
    g_stop = stop;
    OwnedStack owned = capture(stop_in_chain);
    check_same(owned);
  }
  sigaction(SIGILL, &before, nullptr);
}

TEST_CASE("walked: frames without and with frame pointers, aligned and of run-time size") {
  OwnedStack owned = capture(chain_without_frame_pointers);
  check_same(owned);
  owned = capture(chain_with_frame_pointers);
  check_same(owned);
}

TEST_CASE("walked: through a signal handler, on the thread's stack and on an alternate one") {
  struct sigaction before = {};
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigaction(SIGUSR1, &action, &before);
  OwnedStack owned = capture(raise_in_chain);
  check_same(owned);
  sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE("walked: wild registers and tables stop it, inside the bounds") {
  OwnedStack owned = capture(chain_without_frame_pointers);
  Fixture fixture;
  testing::OwnTables tables(fixture.map);
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> addresses(64);
  const StackBounds bounds = bounds_of(owned);
  const auto& mappings = fixture.map.mappings();
  for (int i = 0; i < 200'000; ++i) {
    WalkRegisters registers{random(), random(), random()};
    const CodeMapping& code = mappings[random() % mappings.size()];
    if (i % 4 != 0) registers.ip = code.start + random() % (code.end - code.start);
    if (i % 8 > 1) registers.sp = bounds.low + random() % (bounds.high - bounds.low);
    if (i % 3 != 0) registers.fp = bounds.low + random() % (bounds.high - bounds.low);
    const WalkResult result = walk_stack(tables.view(), registers, bounds, bounds, addresses.data(), 64);
    REQUIRE(result.frames >= 1);
    REQUIRE(result.frames <= 64);
  }
  // Damaged headers, indexes and rows: nothing outside the arena is read (AddressSanitizer looks).
  for (int i = 0; i < 2'000; ++i) {
    std::vector<std::byte> arena = tables.arena();
    for (int k = 0; k < 64; ++k) {
      const CodeRange& range = tables.ranges()[random() % tables.ranges().size()];
      arena[(std::uint64_t{range.table} * kArenaAlignment + random() % 256) % arena.size()] =
          std::byte(random());
    }
    shim::CodeView view = tables.view();
    view.arena = arena.data();
    view.rule_cache = nullptr;  // it would keep the damage from being read
    if (i % 5 == 0) view.arena_bytes = random() % arena.size();
    const WalkRegisters registers = registers_of(owned);
    REQUIRE(walk_stack(view, registers, bounds, bounds, addresses.data(), 64).frames >= 1);
    if (i % 100 == 99 && arena.size() > (64u << 20)) break;
  }
}

// An arena like that of `tables` but for its rows, which all say that the agent has to unwind.
std::vector<std::byte> with_other_rules(testing::OwnTables& tables) {
  std::vector<std::byte> arena = tables.arena();
  for (const CodeRange& range : tables.ranges()) {
    if (range.table == 0) continue;
    std::byte* table = arena.data() + std::uint64_t{range.table} * kArenaAlignment;
    UnwindTable header;
    std::memcpy(&header, table, sizeof header);
    const std::uint32_t rule = make_rule(RowKind::kOther);
    for (std::uint32_t i = 0; i < header.rows; ++i)
      std::memcpy(table + header.rows_offset + i * sizeof(UnwindRow) + offsetof(UnwindRow, rule), &rule,
                  sizeof rule);
  }
  return arena;
}

TEST_CASE("walked: rules of one arena aren't taken for another's that are cached beside them") {
  OwnedStack owned = capture(chain_without_frame_pointers);
  Fixture fixture;
  testing::OwnTables tables(fixture.map);
  const std::vector<std::byte> others = with_other_rules(tables);
  std::vector<std::uint64_t> addresses;
  for (int i = 0; i < 2; ++i) {
    CHECK(walk(owned, tables.view(), &addresses).end == WalkEnd::kComplete);
    shim::CodeView view = tables.view();
    view.arena = others.data();
    CHECK(walk(owned, view, &addresses).end == WalkEnd::kComplete);  // known by now, the arena isn't read
    view.arena_number = 1;
    CHECK(walk(owned, view, &addresses).end == WalkEnd::kOther);
  }
}

TEST_CASE("walked: code without a table goes by frame pointers where they are known to be there") {
  OwnedStack owned = capture(chain_with_frame_pointers);
  Fixture fixture;
  testing::OwnTables tables(fixture.map);
  std::vector<std::uint64_t> by_table;
  REQUIRE(walk(owned, tables.view(), &by_table).end == WalkEnd::kComplete);
  for (CodeRange& range : tables.ranges()) {
    if (fixture.map.find(range.start)->module->path.find("unwind_test") == std::string::npos) continue;
    range.table = 0;
    std::vector<std::uint64_t> none;
    CHECK(walk(owned, tables.view(), &none).end == WalkEnd::kUnknown);
    range.has_fps = 1;
  }
  std::vector<std::uint64_t> addresses;
  const WalkResult result = walk(owned, tables.view(), &addresses);
  CHECK(result.fp_frames > 0);
  REQUIRE(addresses.size() >= 3);
  CHECK(addresses[1] == by_table[1]);
}

}  // namespace siprof::client
