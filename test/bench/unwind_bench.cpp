// SPDX-License-Identifier: Apache-2.0
// What a stack costs the agent: walking a copied stack of 8, 30 and 100 frames by compiled rules
// and by libunwind alone, and naming addresses with and without debug information. What a walk costs the
// process itself is in stack_bench.
//   SYMBOL_WORKER=build/test/unit/collector-client/symbolize/symbol_worker build/test/bench/unwind_bench
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "collector-client/symbolize/symbolizer.h"
#include "collector-client/unwind/libunwind_step.h"
#include "collector-client/unwind/unwinder.h"
#include "test/unit/collector-client/unwind/self_capture.h"

namespace siprof::client {
namespace {

testing::OwnedStack g_stack;

__attribute__((noinline)) void take() {
  ucontext_t context;
  getcontext(&context);
  const auto here = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
  g_stack.take(context, 64 << 10, testing::mapping_end(here));
}

// The compiler can't know `depth`, and the work behind the call keeps it from being a jump.
__attribute__((noinline)) int descend(int depth) {
  volatile char frame[48] = {};
  if (depth == 0) {
    take();
  } else {
    frame[0] = static_cast<char>(descend(depth - 1));
  }
  return frame[0] + 1;
}

struct Process {
  ModuleCache cache;
  ModuleMap map{cache, std::make_shared<testing::PlainOpener>()};
  Process() { map.update(testing::own_maps()); }
};

void walk_by_rules(benchmark::State& state) {
  Process process;
  Unwinder unwinder;
  UnwoundStack stack;
  benchmark::DoNotOptimize(descend(static_cast<int>(state.range(0))));
  for (auto _ : state) unwinder.unwind(g_stack.captured, process.map, stack);
  if (stack.end != StackEnd::kThreadStart) state.SkipWithError("the stack is not whole");
  state.counters["frames"] = static_cast<double>(stack.frames.size());
}

// The first walk of a process: no rule is known yet, the files' pages are.
void walk_first_time(benchmark::State& state) {
  Process process;
  UnwoundStack stack;
  benchmark::DoNotOptimize(descend(static_cast<int>(state.range(0))));
  for (auto _ : state) {
    Unwinder unwinder;
    unwinder.unwind(g_stack.captured, process.map, stack);
  }
}

void walk_by_libunwind(benchmark::State& state) {
  Process process;
  benchmark::DoNotOptimize(descend(static_cast<int>(state.range(0))));
  double frames = 0;
  for (auto _ : state) {
    Registers registers = g_stack.captured.registers;
    std::uint64_t exact = 0;
    for (frames = 0;; ++frames, exact = 1) {
      const CodeMapping* mapping = process.map.find(registers[kRip] - exact);
      if (mapping == nullptr || mapping->module == nullptr) break;
      const StepInput input{mapping->module->image.get(), mapping->bias, registers[kRip] - exact,
                            &g_stack.captured};
      std::uint64_t beyond = 0;
      if (step_with_libunwind(input, registers, beyond) != StepResult::kStepped) break;
    }
  }
  state.counters["frames"] = frames + 1;
}

// Every 64th byte of this program's own code: functions of many units, inlined frames among them.
void name_addresses(benchmark::State& state) {
  SymbolizerOptions options;
  const char* worker = std::getenv("SYMBOL_WORKER");
  if (worker == nullptr) return state.SkipWithError("set SYMBOL_WORKER");
  options.worker_program = worker;
  Process process;
  const Module* self = process.map.locate(reinterpret_cast<std::uint64_t>(&name_addresses)).module;
  std::vector<CodeAddress> addresses;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    addresses.push_back({self, self->text_start + static_cast<std::uint64_t>(i) * 64});
  }
  for (auto _ : state) {
    Symbolizer symbolizer(options);
    symbolizer.prepare(addresses);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void name_known_address(benchmark::State& state) {
  SymbolizerOptions options;
  options.worker_program = "/nonexistent";
  Process process;
  const CodeAddress address = process.map.locate(reinterpret_cast<std::uint64_t>(&name_known_address));
  Symbolizer symbolizer(options);
  for (auto _ : state) benchmark::DoNotOptimize(&symbolizer.frames(address));
}

BENCHMARK(walk_by_rules)->Arg(8)->Arg(30)->Arg(100);
BENCHMARK(walk_first_time)->Arg(30);
BENCHMARK(walk_by_libunwind)->Arg(8)->Arg(30)->Arg(100);
BENCHMARK(name_addresses)->Arg(1)->Arg(100)->Arg(1000)->Unit(benchmark::kMillisecond);
BENCHMARK(name_known_address);

}  // namespace
}  // namespace siprof::client

BENCHMARK_MAIN();
