// SPDX-License-Identifier: Apache-2.0
// The unwinder on stacks of this process: every chain is known from the program's text.
#include "collector-client/unwind/unwinder.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "collector-client/unwind/guess_step.h"
#include "collector-client/unwind/libunwind_step.h"
#include "test/unit/collector-client/unwind/fixtures/chain.h"
#include "test/unit/collector-client/unwind/self_capture.h"

namespace siprof::client {
namespace {

using testing::OwnedStack;

struct Fixture {
  ModuleCache cache;
  ModuleMap map{cache, std::make_shared<testing::PlainOpener>()};
  Unwinder unwinder;
  UnwoundStack stack;

  Fixture() { map.update(testing::own_maps()); }
  void unwind(const OwnedStack& owned) { unwinder.unwind(owned.captured, map, stack); }
};

// The dynamic symbol that an address of this process is in.
std::string symbol(const ModuleMap& map, const CodeAddress& address) {
  for (const CodeMapping& mapping : map.mappings()) {
    const std::uint64_t at = address.address + mapping.bias;
    if (mapping.module != address.module || at < mapping.start || at >= mapping.end) continue;
    Dl_info info{};
    if (dladdr(reinterpret_cast<void*>(at), &info) != 0 && info.dli_sname != nullptr) return info.dli_sname;
  }
  return "?";
}

std::vector<std::string> symbols(const Fixture& fixture, std::size_t skip, std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = skip; i < fixture.stack.frames.size() && names.size() < count; ++i) {
    names.push_back(symbol(fixture.map, fixture.stack.frames[i]));
  }
  return names;
}

OwnedStack* g_taken = nullptr;
std::size_t g_max_bytes = 1 << 20;

// The innermost call of every chain. Its own frame is frame 0.
extern "C" __attribute__((noinline, visibility("default"))) void take_stack_here() {
  ucontext_t context;
  getcontext(&context);
  const auto here = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
  g_taken->take(context, g_max_bytes, testing::mapping_end(here));
}

OwnedStack capture(void (*chain)(void (*)()), std::size_t max_bytes = 1 << 20) {
  OwnedStack owned;
  g_taken = &owned;
  g_max_bytes = max_bytes;
  chain(take_stack_here);
  return owned;
}

}  // namespace

TEST_CASE("A chain without frame pointers unwinds whole to _start") {
  Fixture fixture;
  fixture.unwind(capture(chain_without_frame_pointers));
  CHECK(symbols(fixture, 0, 4) == std::vector<std::string>{"take_stack_here", "nofp_3", "nofp_2", "nofp_1"});
  CHECK(fixture.stack.end == StackEnd::kThreadStart);
  CHECK(fixture.stack.guessed_frames == 0);
  CHECK(symbol(fixture.map, fixture.stack.frames.back()) == "_start");
}

TEST_CASE("A chain with frame pointers, alloca and a realigned stack unwinds whole") {
  Fixture fixture;
  fixture.unwind(capture(chain_with_frame_pointers));
  CHECK(symbols(fixture, 0, 4) == std::vector<std::string>{"take_stack_here", "fp_3", "fp_2", "fp_1"});
  CHECK(fixture.stack.end == StackEnd::kThreadStart);
  CHECK(fixture.stack.guessed_frames == 0);
}

TEST_CASE("Code without tables is walked by its frame pointers and counted as guessed") {
  Fixture fixture;
  fixture.unwind(capture(chain_without_tables));
  CHECK(symbols(fixture, 0, 4) ==
        std::vector<std::string>{"take_stack_here", "notable_3", "notable_2", "notable_1"});
  CHECK(fixture.stack.guessed_frames == 4);
  CHECK(fixture.stack.end == StackEnd::kThreadStart);
}

TEST_CASE("Code with .debug_frame alone is walked by it") {
  Fixture fixture;
  fixture.unwind(capture(chain_with_debug_frame));
  CHECK(symbols(fixture, 0, 4) == std::vector<std::string>{"take_stack_here", "dbg_3", "dbg_2", "dbg_1"});
  CHECK(fixture.stack.guessed_frames == 0);
  CHECK(fixture.stack.end == StackEnd::kThreadStart);
}

TEST_CASE("A thread's stack ends at the thread's start") {
  Fixture fixture;
  OwnedStack owned;
  std::thread([&] { owned = capture(chain_without_frame_pointers); }).join();
  fixture.map.update(testing::own_maps());
  fixture.unwind(owned);
  CHECK(fixture.stack.end == StackEnd::kThreadStart);
  CHECK(symbols(fixture, 1, 3) == std::vector<std::string>{"nofp_3", "nofp_2", "nofp_1"});
}

namespace {

// A chain's stack as a signal handler sees it: its registers are those of the interrupted code.
OwnedStack* g_signal_taken = nullptr;
void on_signal(int, siginfo_t*, void*) {
  take_stack_here();
}
void on_signal_context(int, siginfo_t*, void* context) {
  const auto& interrupted = *static_cast<ucontext_t*>(context);
  const auto stack = static_cast<std::uint64_t>(interrupted.uc_mcontext.gregs[REG_RSP]);
  g_signal_taken->take(interrupted, 1 << 20, testing::mapping_end(stack));
}

void with_handler(void (*handler)(int, siginfo_t*, void*), void (*run)()) {
  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO;
  REQUIRE(sigaction(SIGUSR1, &action, &before) == 0);
  run();
  sigaction(SIGUSR1, &before, nullptr);
}

extern "C" __attribute__((noinline, visibility("default"))) void raise_here() {
  raise(SIGUSR1);
  asm volatile("");  // no tail call
}

}  // namespace

TEST_CASE("A signal handler's frames go on in the interrupted code") {
  Fixture fixture;
  OwnedStack owned;
  g_taken = &owned;
  g_max_bytes = 1 << 20;
  with_handler(on_signal, [] { chain_without_frame_pointers(raise_here); });
  fixture.unwind(owned);
  const std::vector<std::string> names = symbols(fixture, 0, 64);
  const auto at = std::find(names.begin(), names.end(), "raise_here");
  REQUIRE(at != names.end());
  CHECK(std::vector<std::string>(at, std::min(at + 4, names.end())) ==
        std::vector<std::string>{"raise_here", "nofp_3", "nofp_2", "nofp_1"});
  CHECK(fixture.stack.end == StackEnd::kThreadStart);
}

TEST_CASE("An interrupted leaf is exact and its callers are inside their calls") {
  Fixture fixture;
  OwnedStack owned;
  g_signal_taken = &owned;
  with_handler(on_signal_context, [] { chain_with_frame_pointers(raise_here); });
  fixture.unwind(owned);
  const CodeMapping* leaf = fixture.map.find(owned.captured.registers[kRip]);
  REQUIRE(leaf != nullptr);
  CHECK(fixture.stack.frames.front().address == owned.captured.registers[kRip] - leaf->bias);
  CHECK(fixture.stack.end == StackEnd::kThreadStart);
}

TEST_CASE("Every plain step equals libunwind's") {
  Fixture fixture;
  for (auto chain : {chain_without_frame_pointers, chain_with_frame_pointers}) {
    const OwnedStack owned = capture(chain);
    fixture.unwind(owned);
    Registers registers = owned.captured.registers;
    std::size_t compared = 0;
    for (const CodeAddress& frame : fixture.stack.frames) {
      const std::uint64_t lookup = registers[kRip] - (compared == 0 ? 0 : 1);
      const CodeMapping* mapping = fixture.map.find(lookup);
      REQUIRE(mapping != nullptr);
      CHECK(frame == CodeAddress{mapping->module, lookup - mapping->bias});
      const StepInput input{mapping->module->image.get(), mapping->bias, lookup, &owned.captured};
      std::uint64_t beyond = 0;
      ++compared;
      if (step_with_libunwind(input, registers, beyond) != StepResult::kStepped) break;
    }
    CHECK(compared == fixture.stack.frames.size());
    CHECK(compared > 6);
  }
}

TEST_CASE("A copy that is too short ends truncated, with the frames that fit") {
  Fixture fixture;
  const OwnedStack whole = capture(chain_with_frame_pointers);
  fixture.unwind(whole);
  const std::vector<CodeAddress> expected = fixture.stack.frames;
  std::size_t before = 0;
  for (std::size_t bytes = 0; bytes < 16384; bytes += 8) {  // frames of a sanitizer build are large
    OwnedStack part = whole;
    part.captured.bytes = std::span(part.copy).first(std::min(bytes, part.copy.size()));
    fixture.unwind(part);
    const auto& frames = fixture.stack.frames;
    REQUIRE(frames.size() <= expected.size());
    CHECK(std::equal(frames.begin(), frames.end(), expected.begin()));
    CHECK(frames.size() >= before);
    if (frames.size() < expected.size()) CHECK(fixture.stack.end == StackEnd::kTruncated);
    before = frames.size();
  }
  CHECK(before > 4);
}

TEST_CASE("Garbage for registers and stack neither crashes nor loops, and keeps the leaf") {
  Fixture fixture;
  std::mt19937_64 random(7);
  const auto& mappings = fixture.map.mappings();
  for (int round = 0; round < 20000; ++round) {
    OwnedStack owned;
    owned.copy.resize(random() % 2048);
    auto& registers = owned.captured.registers;
    owned.captured.stack_start = random() % 4 == 0 ? random() : 0x7ffc00000000;
    const auto value = [&]() -> std::uint64_t {
      const CodeMapping& mapping = mappings[random() % mappings.size()];
      switch (random() % 4) {
        case 0:
          return random();
        case 1:
          return mapping.start + random() % (mapping.end - mapping.start);
        case 2:
          return owned.captured.stack_start + random() % 4096;
        default:
          return random() % 64;
      }
    };
    for (std::size_t at = 0; at + 8 <= owned.copy.size(); at += 8) {
      const std::uint64_t word = value();
      std::memcpy(owned.copy.data() + at, &word, sizeof word);
    }
    for (std::uint64_t& reg : registers) reg = value();
    if (random() % 2 == 0) registers[kRsp] = owned.captured.stack_start;
    owned.captured.bytes = owned.copy;
    fixture.unwind(owned);
    REQUIRE(!fixture.stack.frames.empty());
    REQUIRE(fixture.stack.frames.size() <= kMaxDepth);
  }
}

TEST_CASE("A frame pointer that points at itself ends the walk") {
  Fixture fixture;
  OwnedStack owned = capture(chain_without_tables);
  // All words of the stack become frame pointers to their own place.
  for (std::size_t at = 0; at + 8 <= owned.copy.size(); at += 8) {
    const std::uint64_t self = owned.captured.stack_start + at;
    std::memcpy(owned.copy.data() + at, &self, sizeof self);
  }
  owned.captured.bytes = owned.copy;
  fixture.unwind(owned);
  CHECK(fixture.stack.end == StackEnd::kBroken);
  CHECK(fixture.stack.frames.size() < 3);
}

}  // namespace siprof::client
