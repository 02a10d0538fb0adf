// SPDX-License-Identifier: Apache-2.0
// Writers and the agent's reader at once, on one small pool: every sample arrives
// once, in its thread's order, whole. ThreadSanitizer watches the same test.
#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <thread>
#include <vector>

#include "collector-client/drain/chunk_reader.h"
#include "shim/core/ring_writer.h"
#include "test/unit/shim/sample_writer.h"
#include "test/unit/shim/test_pool.h"

namespace siprof::shim {
namespace {

using client::ChunkReader;
using client::RawSample;

constexpr std::uint32_t kSamples = 3000;

// Relaxed: these words must not order what the ring itself has to order.
struct Progress {
  std::atomic<std::uint64_t> steps{0};
  std::atomic<std::uint32_t> running{0};
};

void write_many(TestPool& pool, std::int32_t tid, std::uint32_t least_stack, std::uint32_t most_stack,
                Progress& progress) {
  ThreadState thread{};
  thread.tid = tid;
  thread.serial = static_cast<std::uint32_t>(tid);
  RingWriter writer(pool.header(), 1, thread);
  const auto step = [&] {
    progress.steps.fetch_add(1, std::memory_order_relaxed);
    std::this_thread::yield();
    return true;
  };
  for (std::uint32_t i = 0; i < kSamples; ++i) {
    const std::uint32_t spread = (most_stack - least_stack) / 8 + 1;
    write_sample(writer, thread, least_stack + i * 2654435761u % spread * 8, step);
    step();
  }
  writer.seal();
  progress.running.fetch_sub(1, std::memory_order_relaxed);
}

class Checker {
 public:
  void operator()(const RawSample& sample) {
    std::uint32_t& last = last_serial_[sample.record.head.tid];
    out_of_order_ += sample.record.serial != last + 1;
    last = sample.record.serial;
    bool whole = sample.stack.size() == sample.record.stack_bytes;
    for (std::size_t i = 0; whole && i < sample.stack.size(); ++i) {
      whole = sample.stack[i] == stack_byte(sample.record.head.tid, sample.record.serial, i);
    }
    not_whole_ += !whole;
    ++count_;
  }

  void check(std::uint32_t expected) const {
    CHECK(count_ == expected);
    CHECK(out_of_order_ == 0);
    CHECK(not_whole_ == 0);
  }

 private:
  std::map<std::uint32_t, std::uint32_t> last_serial_;
  std::uint32_t count_ = 0;
  std::uint32_t out_of_order_ = 0;
  std::uint32_t not_whole_ = 0;
};

// Drains while `progress` runs, and only after a step: a sample waits for its pieces
// by the number of drains, which must not depend on how busy the machine is.
void read_all(ChunkReader& reader, Progress& progress, Checker& checker) {
  const auto sink = [&](const RawSample& sample) { checker(sample); };
  std::uint64_t seen = 0;
  while (progress.running.load(std::memory_order_relaxed) != 0) {
    const std::uint64_t steps = progress.steps.load(std::memory_order_relaxed);
    if (steps != seen) reader.drain(sink, /*final=*/false);
    if (steps == seen) std::this_thread::yield();
    seen = steps;
  }
}

void run(std::uint32_t chunks, std::uint32_t threads, std::uint32_t least_stack, std::uint32_t most_stack) {
  TestPool pool(chunks);
  ChunkReader reader(pool.chunks(), chunks);
  Progress progress;
  progress.running = threads;
  std::vector<std::thread> writers;
  for (std::uint32_t i = 0; i < threads; ++i) {
    writers.emplace_back(
        [&, i] { write_many(pool, static_cast<std::int32_t>(100 + i), least_stack, most_stack, progress); });
  }
  Checker checker;
  read_all(reader, progress, checker);
  for (std::thread& writer : writers) writer.join();
  reader.drain([&](const RawSample& sample) { checker(sample); }, /*final=*/true);
  checker.check(threads * kSamples);
  CHECK(reader.statistics().malformed == 0);
  CHECK(reader.statistics().abandoned == 0);
  CHECK(pool.owned_chunks() == 0);
}

TEST_CASE("samples of one thread arrive once, in order and whole while they are written") {
  run(/*chunks=*/8, /*threads=*/1, 0, 3000);
}

TEST_CASE("samples that go over several chunks arrive whole while they are written") {
  run(/*chunks=*/8, /*threads=*/1, 4096, kMaxStackBytes);
}

// Many chunks are claimed, out of order by their place, while the reader looks for them.
TEST_CASE("chunks of one thread are read in the order they were claimed in, however quickly it goes on") {
  constexpr std::uint32_t kChunks = 256;
  constexpr std::uint32_t kMany = 30'000;
  TestPool pool(kChunks);
  ChunkReader reader(pool.chunks(), kChunks);
  std::atomic<bool> ended{false};  // relaxed: the ring's order isn't to hang on it
  std::thread thread([&] {
    ThreadState thread{};
    thread.tid = 100;
    thread.serial = 100;
    RingWriter writer(pool.header(), 1, thread);
    for (std::uint32_t i = 0; i < kMany; ++i) {
      write_sample(writer, thread, 8, [] {
        std::this_thread::yield();
        return true;
      });
      writer.seal();
    }
    ended.store(true, std::memory_order_relaxed);
  });
  Checker checker;
  const auto sink = [&](const RawSample& sample) { checker(sample); };
  while (!ended.load(std::memory_order_relaxed)) reader.drain(sink, /*final=*/false);
  thread.join();
  reader.drain(sink, /*final=*/true);
  checker.check(kMany);
}

TEST_CASE("threads that compete for chunks don't write into each other's") {
  run(/*chunks=*/4, /*threads=*/3, 0, 400);
}

}  // namespace
}  // namespace siprof::shim
