// SPDX-License-Identifier: Apache-2.0
// Pools of chunks, half built as writers build them, half bent: words set to edge
// values, bytes flipped, records cut, between drains too. The reader must not read
// beyond the pool, must hand on only samples within the limits, and must end up with
// an empty pool. Run it with sanitizers to see the first of these.
//
//   chunk_reader_fuzz [--runs N] [--seed S]
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <random>

#include "collector-client/drain/chunk_reader.h"
#include "test/unit/collector-client/drain/pool_builder.h"

namespace siprof::client {
namespace {

constexpr std::uint32_t kChunks = 4;
constexpr std::uint32_t kEdges[] = {
    0,    1,    7,    8,    12,   24,   31,         32,         191,        192,        193,       4063,
    4064, 4065, 8191, 8192, 8193, 4096, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff, 0x80000fe0};

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

class Fuzzer {
 public:
  explicit Fuzzer(std::uint64_t seed) : random_(seed) {}

  void run_one() {
    PoolBuilder pool(kChunks);
    ChunkReader reader(pool.data(), kChunks);
    reader.set_python_sink([this](const PythonCodePart& part) {
      check(part);
      ++codes_;
    });
    std::uint64_t seen = 0;
    const auto sink = [&](const RawSample& sample) {
      check(sample);
      ++seen;
    };
    for (std::size_t round = 1 + below(3); round > 0; --round) {
      for (std::uint32_t i = 0; i < kChunks; ++i) build(pool, i);
      for (std::size_t steps = below(8); steps > 0; --steps) mutate(pool);
      for (std::size_t drains = below(3); drains > 0; --drains) reader.drain(sink, /*final=*/false);
      if (below(8) == 0) reader.reclaim(static_cast<std::uint32_t>(below(3)), sink);
      reader.idle_threads();
    }
    reader.drain(sink, /*final=*/true);
    if (reader.statistics().samples != seen) fail("samples are counted wrongly");
    check_empty(pool);
    samples_ += seen;
  }

  std::uint64_t samples() const { return samples_; }
  std::uint64_t codes() const { return codes_; }

 private:
  std::size_t below(std::size_t bound) { return random_() % bound; }
  std::uint32_t edge() {
    return below(4) == 0 ? static_cast<std::uint32_t>(random_()) : kEdges[below(std::size(kEdges))];
  }

  static void check(const RawSample& sample) {
    if (sample.stack.size() > kMaxStackBytes) fail("a stack beyond the limit");
    if (sample.stack.size() > sample.record.stack_bytes) fail("more stack than the sample has");
    if (static_cast<std::uint32_t>(sample.record.head.event) >= kEventKinds) fail("an event of no kind");
    if (sample.extra.size() > kMaxExtraBytes) fail("more extra bytes than may be");
    if (sample.python.size() > kMaxPythonFrames) fail("more Python frames than may be");
  }
  static void check(const PythonCodePart& part) {
    if (part.fields.mark == 0 || part.fields.mark >> kPythonMarkBits != 0) fail("a mark that can't be");
    if (part.name.size() >= kMaxPythonName || part.file.size() >= kMaxPythonFile)
      fail("a text beyond the limit");
    if (part.table.size() != part.fields.part_bytes) fail("another part than the record says");
    if (std::uint64_t{part.fields.part_start} + part.table.size() > kMaxPythonLineTable)
      fail("a table beyond the limit");
  }
  // What no reader is told of (no sequence) is the writer's still; all else is given back, zero.
  static void check_empty(PoolBuilder& pool) {
    for (std::uint32_t i = 0; i < kChunks; ++i) {
      const ChunkHeader& chunk = pool.chunk(i);
      if (chunk.owner != 0 && chunk.sequence != 0) fail("a chunk is left after the last drain");
    }
  }

  // Goes on with a chunk as its writer would, or claims it when it is free.
  void build(PoolBuilder& pool, std::uint32_t index) {
    ChunkHeader& chunk = pool.chunk(index);
    if (chunk.owner == 0) {
      if (below(4) == 0) return;
      pool.own(index,
               owner_of(static_cast<std::uint32_t>(below(3)), 1 + static_cast<std::uint32_t>(below(2))),
               static_cast<std::uint32_t>(below(5)));
    }
    for (std::size_t records = below(5); records > 0; --records) {
      const auto inline_bytes = static_cast<std::uint32_t>(below(60) * 8);
      if (chunk.reserved > kChunkPayloadBytes - 1000 || chunk.sealed != 0 || chunk.reserved % 8 != 0) return;
      const auto kind = below(6);
      if (kind == 0) pool.put_sample(index, serial(), inline_bytes, inline_bytes);
      if (kind == 1) pool.put_sample(index, serial(), inline_bytes + 64, inline_bytes);
      if (kind == 2) pool.put_piece(index, serial(), inline_bytes, 64);
      if (kind == 3 && below(8) == 0) pool.reserve(index, 64);
      if (kind == 4) {
        const auto words = static_cast<std::uint32_t>(below(20));
        pool.put_mixed(index, 1 + static_cast<std::uint32_t>(below(20)), words, words);
      }
      if (kind == 5) {
        PythonCodeFields fields = PoolBuilder::code_fields(static_cast<std::uint32_t>(below(200)));
        fields.table_bytes += static_cast<std::uint32_t>(below(2) * 100);
        pool.put_code(index, fields, std::string("f\0", 2), std::string("a.py\0", 5));
      }
    }
    if (below(2) == 0) pool.seal(index);
  }
  std::uint32_t serial() { return 1 + static_cast<std::uint32_t>(below(2)); }

  void mutate(PoolBuilder& pool) {
    const auto index = static_cast<std::uint32_t>(below(kChunks));
    ChunkHeader& chunk = pool.chunk(index);
    auto* words = reinterpret_cast<std::uint32_t*>(pool.data());
    switch (below(7)) {
      case 0:
        chunk.reserved = edge();
        break;
      case 1:
        chunk.sealed = edge();
        break;
      case 2:
        chunk.sequence = edge();
        break;
      case 3:
        chunk.owner = edge();
        break;
      case 4:  // sizes and fields of records lie at the front
        words[index * kChunkBytes / 4 + below(96)] = edge();
        break;
      case 5:
        words[below(pool.size() / 4)] = edge();
        break;
      default:
        pool.data()[below(pool.size())] ^= static_cast<std::byte>(1u << below(8));
        break;
    }
  }

  std::mt19937_64 random_;
  std::uint64_t samples_ = 0;
  std::uint64_t codes_ = 0;
};

}  // namespace
}  // namespace siprof::client

int main(int argc, char** argv) {
  CLI::App app("Fuzzes the reader of shared memory.");
  std::uint64_t runs = 1'000'000;
  std::uint64_t seed = 1;
  app.add_option("--runs", runs, "how many pools");
  app.add_option("--seed", seed, "where the random numbers start");
  CLI11_PARSE(app, argc, argv);
  siprof::client::Fuzzer fuzzer(seed);
  for (std::uint64_t i = 0; i < runs; ++i) fuzzer.run_one();
  std::printf("%llu pools, %llu samples, %llu codes\n", static_cast<unsigned long long>(runs),
              static_cast<unsigned long long>(fuzzer.samples()),
              static_cast<unsigned long long>(fuzzer.codes()));
  // If hardly anything is read, only the first check was fuzzed.
  return fuzzer.samples() > runs && fuzzer.codes() > runs / 8 ? 0 : 1;
}
