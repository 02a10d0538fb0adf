// SPDX-License-Identifier: Apache-2.0
// What a walk of the own stack costs, 8, 30 and 100 frames deep: by tables as the handler does it, by frame
// pointers, by libunwind's two ways and by glibc's backtrace. Warm; with all that ours reads flushed out of
// the caches; with 64 MiB of other memory written before each walk, which takes the TLB as well. Medians of
// repetitions in random order.
//   ninja -C build test/bench/stack_bench && build/test/bench/stack_bench
#include <benchmark/benchmark.h>
#include <pthread.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "test/bench/cold_memory.h"
#include "test/bench/counted_walk.h"
#include "test/bench/deep_stack.h"
#include "test/bench/stack_methods.h"

namespace siprof::bench {
namespace {

constexpr int kColdWalks = 31;

struct Job {
  int levels;
  Body at_bottom;
};

void* thread_body(void* argument) {
  const Job& job = *static_cast<const Job*>(argument);
  prepare_this_thread();
  run_deep(job.levels, job.at_bottom);
  return nullptr;
}

// Its stack is known from its start to the bottom, unlike the benchmark library's.
void run_in_thread(Job job) {
  pthread_t thread;
  if (pthread_create(&thread, nullptr, thread_body, &job) != 0) std::abort();
  pthread_join(thread, nullptr);
}

// One less: libc's outermost frame has no frame pointer. One more: not every body is inlined into its
// function object.
void check_depth(benchmark::State& state, std::size_t frames) {
  const auto wanted = static_cast<std::size_t>(state.range(0));
  if (frames + 1 < wanted || frames > wanted + 1) state.SkipWithError("the walk hasn't so many frames");
  state.counters["frames"] = static_cast<double>(frames);
}

// Runs `body` so deep that a walk of its callee has `frames` frames, as ours counts them.
void run_at_depth(std::size_t frames, const Body& body) {
  std::size_t least = 0;
  std::uint64_t addresses[kMostFrames];
  run_in_thread({0, [&] { least = walk_by_tables(addresses); }});
  if (least == 0 || least > frames) return;  // the caller sees that the body hasn't run
  run_in_thread({static_cast<int>(frames - least), body});
}

void warm(benchmark::State& state, WalkMethod walk) {
  std::uint64_t addresses[kMostFrames];
  std::size_t frames = 0;
  run_at_depth(static_cast<std::size_t>(state.range(0)), [&] {
    for (auto _ : state) benchmark::DoNotOptimize(frames = walk(addresses));
  });
  check_depth(state, frames);
}

// Median of `times` runs of `work`, each behind `before`; in TSC ticks.
std::uint64_t median_ticks(int times, const Body& before, const Body& work) {
  std::vector<std::uint64_t> ticks;
  for (int i = 0; i < times; ++i) {
    before();
    const std::uint64_t begin = begin_tsc();
    work();
    ticks.push_back(end_tsc() - begin);
  }
  return median(std::move(ticks));
}

void flush() {
  for (const auto piece :
       memory_of_tables_walk(reinterpret_cast<std::uint64_t>(__builtin_frame_address(0))).all()) {
    for (std::size_t i = 0; i < piece.size(); i += 64) _mm_clflush(piece.data() + i);
  }
  _mm_mfence();
}

// An iteration is the median of several walks less that of as many empty ones, both after `clear`.
void cold(benchmark::State& state, WalkMethod walk, void (*clear)()) {
  std::uint64_t addresses[kMostFrames];
  std::size_t frames = 0;
  run_at_depth(static_cast<std::size_t>(state.range(0)), [&] {
    frames = walk(addresses);
    for (auto _ : state) {
      const std::uint64_t empty = median_ticks(kColdWalks, clear, [] {});
      const std::uint64_t full =
          median_ticks(kColdWalks, clear, [&] { benchmark::DoNotOptimize(walk(addresses)); });
      state.SetIterationTime(static_cast<double>(full - std::min(full, empty)) * ns_per_tsc() / 1e9);
    }
  });
  check_depth(state, frames);
}

// Lines of data that a walk touches, in all and by what they belong to.
void count_lines(benchmark::State& state) {
  std::uint64_t addresses[kMostFrames];
  std::size_t frames = 0;
  run_at_depth(static_cast<std::size_t>(state.range(0)), [&] {
    walk_by_tables(addresses);  // fills the rule cache
    take_touched_lines();
    for (auto _ : state) frames = walk_by_counted_tables(addresses);
    const WalkMemory memory = memory_of_tables_walk(reinterpret_cast<std::uint64_t>(addresses) & ~63ull);
    const std::set<std::uint64_t> lines = take_touched_lines();
    const auto within = [&](std::span<const std::byte> part) {
      const auto start = reinterpret_cast<std::uint64_t>(part.data());
      return static_cast<double>(std::ranges::count_if(lines, [&](std::uint64_t line) {
        return line * 64 + 63 >= start && line * 64 < start + part.size();
      }));
    };
    state.counters["lines"] = static_cast<double>(lines.size());
    state.counters["tables"] = within(memory.tables);
    state.counters["rule_cache"] = within(memory.rule_cache);
    state.counters["ranges"] = within(memory.ranges);
  });
  check_depth(state, frames);
}

void register_all() {
  const std::pair<const char*, WalkMethod> methods[] = {{"tables", walk_by_tables},
                                                        {"frame_pointers", walk_by_frame_pointers},
                                                        {"unw_step", walk_by_unw_step},
                                                        {"unw_backtrace", walk_by_unw_backtrace},
                                                        {"glibc_backtrace", walk_by_glibc_backtrace}};
  for (const auto& [name, walk] : methods) {
    const std::string method = name;
    benchmark::RegisterBenchmark((method + "/warm").c_str(), warm, walk)
        ->Arg(8)
        ->Arg(30)
        ->Arg(100)
        ->MinTime(0.05);
    benchmark::RegisterBenchmark((method + "/evicted").c_str(), cold, walk, evict)
        ->Arg(8)
        ->Arg(30)
        ->Arg(100)
        ->UseManualTime()
        ->Iterations(1);
  }
  benchmark::RegisterBenchmark("tables/lines", count_lines)->Arg(8)->Arg(30)->Arg(100)->Iterations(1);
  benchmark::RegisterBenchmark("tables/flushed", cold, walk_by_tables, flush)
      ->Arg(8)
      ->Arg(30)
      ->Arg(100)
      ->UseManualTime()
      ->Iterations(1);
}

}  // namespace
}  // namespace siprof::bench

int main(int argc, char** argv) {
  char repetitions[] = "--benchmark_repetitions=11";
  char interleaving[] = "--benchmark_enable_random_interleaving=true";
  char aggregates[] = "--benchmark_report_aggregates_only=true";
  std::vector<char*> arguments{argv[0], repetitions, interleaving, aggregates};
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  siprof::bench::register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
