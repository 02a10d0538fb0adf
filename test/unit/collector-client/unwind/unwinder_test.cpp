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

const std::vector<std::string> kChain = {"take_stack_here", "chain_3", "chain_2", "chain_1"};

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

}  // namespace siprof::client
