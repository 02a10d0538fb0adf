// SPDX-License-Identifier: Apache-2.0
// One thread's chain of chunks: how it fills, seals, wraps into new attachments. The
// agent's reader says what arrived.
#include <catch2/catch.hpp>
#include <vector>

#include "collector-client/drain/chunk_reader.h"
#include "shim/core/ring_writer.h"
#include "test/unit/shim/sample_writer.h"
#include "test/unit/shim/test_pool.h"

namespace siprof::shim {
namespace {

using client::ChunkReader;
using client::RawSample;

ThreadState thread_with(std::int32_t tid, std::uint32_t serial) {
  ThreadState thread{};
  thread.tid = tid;
  thread.serial = serial;
  return thread;
}

std::vector<RawSample> drain(ChunkReader& reader, bool final = false) {
  std::vector<RawSample> out;
  reader.drain([&](const RawSample& sample) { out.push_back(sample); }, final);
  return out;
}

RecordHeader* commit_record(RingWriter& writer, std::uint32_t bytes_wanted) {
  std::uint32_t bytes = 0;
  RecordHeader* record = writer.claim(bytes_wanted, bytes_wanted, &bytes);
  if (record != nullptr) RingWriter::commit(record, RecordKind::kStackPiece, bytes);
  return record;
}

TEST_CASE("a writer fills a chunk to its last byte before it seals it and claims the next") {
  TestPool pool(4);
  ThreadState thread = thread_with(10, 1);
  RingWriter writer(pool.header(), 1, thread);
  REQUIRE(commit_record(writer, kChunkPayloadBytes - 8) != nullptr);
  const std::uint32_t first = thread.chunk - 1;
  REQUIRE(commit_record(writer, 8) != nullptr);
  CHECK(pool.owned_chunks() == 1);
  CHECK(pool.chunk(first).reserved == kChunkPayloadBytes);
  CHECK(pool.chunk(first).sealed == 0);

  REQUIRE(commit_record(writer, 8) != nullptr);
  CHECK(pool.owned_chunks() == 2);
  CHECK(pool.chunk(first).sealed == (kSealedBit | kChunkPayloadBytes));
  CHECK(pool.chunk(first).sequence == 1);
  CHECK(pool.chunk(thread.chunk - 1).sequence == 2);
  CHECK(pool.chunk(first).owner == (std::uint64_t{1} << 32 | 10));
}

TEST_CASE("the end of the last record is given back, and the next one begins there") {
  TestPool pool(4);
  ThreadState thread = thread_with(10, 1);
  RingWriter writer(pool.header(), 1, thread);
  std::uint32_t bytes = 0;
  RecordHeader* record = writer.claim(800, 2000, &bytes);
  REQUIRE(record != nullptr);
  REQUIRE(bytes == 2000);
  SECTION("a part of it") {
    CHECK(writer.shrink(record, bytes, 320) == 320);
    CHECK(reinterpret_cast<char*>(commit_record(writer, 8)) == reinterpret_cast<char*>(record) + 320);
  }
  SECTION("all of it") {
    CHECK(writer.shrink(record, bytes, 0) == 0);
    CHECK(commit_record(writer, 8) == record);
  }
  SECTION("not when another one has come after it") {
    RecordHeader* next = commit_record(writer, 8);
    CHECK(writer.shrink(record, bytes, 320) == 2000);
    CHECK(reinterpret_cast<char*>(next) == reinterpret_cast<char*>(record) + 2000);
    CHECK(pool.chunk(thread.chunk - 1).reserved == 2008);
  }
  SECTION("not when its chunk is full and sealed") {
    REQUIRE(commit_record(writer, kChunkPayloadBytes - 1000) != nullptr);
    CHECK(writer.shrink(record, bytes, 320) == 2000);
    CHECK(pool.owned_chunks() == 2);
  }
}

TEST_CASE("a claim looks at a bounded number of chunks and the next one goes on from there") {
  constexpr std::uint32_t kChunks = 512;
  constexpr std::uint32_t kShare = 4 * kSearchedChunks;
  static_assert(kChunks / 2 == kShare);
  TestPool pool(kChunks);
  ThreadState thread = thread_with(10, 1);
  RingWriter writer(pool.header(), 1, thread, PoolShare::kHalf);
  for (std::uint32_t i = 0; i < kChunks; ++i) pool.chunk(i).owner = 99;
  for (std::uint32_t round = 0; round < 4; ++round) {
    CHECK(commit_record(writer, 8) == nullptr);
    CHECK(thread.searched == (round + 1) * kSearchedChunks);
  }
  // The farthest from where it looks next is found by the last of four, not missed and not sooner.
  const std::uint32_t last = (thread.serial * 7 + thread.searched + kShare - 1) % kShare;
  pool.chunk(last).owner = 0;
  for (int round = 0; round < 3; ++round) CHECK(commit_record(writer, 8) == nullptr);
  REQUIRE(commit_record(writer, 8) != nullptr);
  CHECK(thread.chunk == last + 1);
}

TEST_CASE("what is kept for a record is found by its first claim, wherever it looks") {
  constexpr std::uint32_t kChunks = 128;
  TestPool pool(kChunks);
  for (std::uint32_t i = 0; i < kChunks / 2; ++i) pool.chunk(i).owner = 99;
  for (std::uint32_t serial = 1; serial <= kChunks / 2; ++serial) {
    ThreadState thread = thread_with(10, serial);
    RingWriter writer(pool.header(), 1, thread);
    CHECK(commit_record(writer, 8) != nullptr);
  }
  ThreadState thread = thread_with(10, 100);
  RingWriter writer(pool.header(), 1, thread);
  CHECK(commit_record(writer, 8) == nullptr);
  CHECK(thread.searched == 2 * kSearchedChunks);
}

TEST_CASE("a claim takes what is left of a chunk if that is enough, else a whole new one") {
  TestPool pool(4);
  ThreadState thread = thread_with(10, 1);
  RingWriter writer(pool.header(), 1, thread);
  commit_record(writer, kChunkPayloadBytes - 64);
  std::uint32_t bytes = 0;
  REQUIRE(writer.claim(48, 1000, &bytes) != nullptr);
  CHECK(bytes == 64);
  commit_record(writer, kChunkPayloadBytes - 40);
  REQUIRE(writer.claim(48, 1000, &bytes) != nullptr);
  CHECK(bytes == 1000);
  CHECK(pool.owned_chunks() == 3);
}

TEST_CASE("a full pool gives no space until the reader has given chunks back") {
  TestPool pool(3);
  ThreadState thread = thread_with(10, 1);
  RingWriter writer(pool.header(), 1, thread);
  ChunkReader reader(pool.chunks(), 3);
  std::uint32_t written = 0;
  while (write_sample(writer, thread, 3000)) ++written;
  CHECK(written == 3);
  CHECK_FALSE(write_sample(writer, thread, 3000));
  CHECK(drain(reader).size() == 3);
  CHECK(write_sample(writer, thread, 3000));
}

TEST_CASE("records that may take a part of the pool leave the rest to the others") {
  TestPool pool(8);
  ThreadState thread = thread_with(10, 1);
  RingWriter part(pool.header(), 1, thread, PoolShare::kHalf);
  RingWriter whole(pool.header(), 1, thread);
  for (int i = 0; i < 4; ++i) REQUIRE(commit_record(part, kChunkPayloadBytes) != nullptr);
  CHECK(commit_record(part, 8) == nullptr);
  // A chunk of the rest that is open isn't theirs either.
  REQUIRE(commit_record(whole, 8) != nullptr);
  CHECK(thread.chunk > 4);
  const std::uint32_t open = thread.chunk;
  CHECK(commit_record(part, 8) == nullptr);
  CHECK(thread.chunk == open);
  REQUIRE(commit_record(whole, kChunkPayloadBytes - 8) != nullptr);
  REQUIRE(thread.chunk == open);
  for (int i = 0; i < 3; ++i) REQUIRE(commit_record(whole, kChunkPayloadBytes) != nullptr);
  CHECK(commit_record(whole, 8) == nullptr);

  ChunkReader reader(pool.chunks(), 8);
  drain(reader);
  REQUIRE(commit_record(part, 8) != nullptr);
  CHECK(thread.chunk <= 4);
}

TEST_CASE("a writer uses no chunk beyond what is mapped, whatever the shared page says") {
  TestPool pool(2);
  pool.header()->chunk_count = kMaxChunks;
  ThreadState thread = thread_with(10, 1);
  RingWriter writer(pool.header(), 1, thread);
  for (int i = 0; i < 2; ++i) REQUIRE(commit_record(writer, kChunkPayloadBytes) != nullptr);
  CHECK(commit_record(writer, kChunkPayloadBytes) == nullptr);
}

TEST_CASE("a sealed chunk is read to its end and given back though it isn't full") {
  TestPool pool(2);
  ThreadState thread = thread_with(10, 1);
  RingWriter writer(pool.header(), 1, thread);
  ChunkReader reader(pool.chunks(), 2);
  write_sample(writer, thread, 64);
  CHECK(drain(reader).size() == 1);
  CHECK(pool.owned_chunks() == 1);
  writer.seal();
  writer.seal();  // nothing to seal any more
  drain(reader);
  CHECK(pool.owned_chunks() == 0);
}

TEST_CASE("after a new attach a writer starts in the empty memory") {
  TestPool pool(4);
  ThreadState thread = thread_with(10, 1);
  RingWriter before(pool.header(), 1, thread);
  write_sample(before, thread, 3000);
  write_sample(before, thread, 3000);
  pool.replace(4, 2);
  RingWriter after(pool.header(), 2, thread);
  ChunkReader reader(pool.chunks(), 4);
  REQUIRE(write_sample(after, thread, 3000));
  CHECK(pool.owned_chunks() == 1);
  const std::vector<RawSample> samples = drain(reader);
  REQUIRE(samples.size() == 1);
  CHECK(samples[0].record.serial == 3);
}

// Between the mapping of the new memory and its session's number, which another
// thread stores, ticks go into the new memory under the old number.
TEST_CASE("what is written before the new session has its number arrives once, in order") {
  TestPool pool(16);
  ThreadState thread = thread_with(10, 1);
  RingWriter before(pool.header(), 1, thread);
  for (int i = 0; i < 3; ++i) write_sample(before, thread, 3000);
  pool.replace(16, 2);
  const std::uint32_t lost = thread.next_sample;
  REQUIRE(write_sample(before, thread, 3000));
  RingWriter after(pool.header(), 2, thread);
  ChunkReader reader(pool.chunks(), 16);
  std::vector<std::uint32_t> serials;
  for (int i = 0; i < 40; ++i) {
    REQUIRE(write_sample(after, thread, 3000));
    for (const RawSample& sample : drain(reader)) serials.push_back(sample.record.serial);
  }
  REQUIRE(serials.size() == 41);
  for (std::uint32_t i = 0; i < serials.size(); ++i) CHECK(serials[i] == lost + 1 + i);
}

// The pool had grown, the new memory is small again: a byte beyond its end is SIGBUS.
TEST_CASE("a chunk that the replaced memory no longer has isn't touched") {
  TestPool pool(8);
  ThreadState thread = thread_with(10, 1);
  thread.session = 1;
  RingWriter writer(pool.header(), 1, thread);
  while (thread.chunk != 8) REQUIRE(commit_record(writer, kChunkPayloadBytes) != nullptr);
  pool.replace(2, 2);
  // Stands for the missing page: if the writer looked there, it would find itself the owner.
  pool.chunk(7).owner = std::uint64_t{1} << 32 | 10;
  SECTION("under the old number") {
    REQUIRE(commit_record(writer, 8) != nullptr);
  }
  SECTION("under the new one") {
    RingWriter after(pool.header(), 2, thread);
    REQUIRE(commit_record(after, 8) != nullptr);
  }
  CHECK(thread.chunk <= 2);
  CHECK(pool.chunk(7).reserved == 0);
  CHECK(pool.chunk(7).sealed == 0);
}

TEST_CASE("a chunk that is another thread's by now isn't written to") {
  TestPool pool(4);
  ThreadState thread = thread_with(10, 1);
  RingWriter writer(pool.header(), 1, thread);
  commit_record(writer, 64);
  const std::uint32_t index = thread.chunk - 1;
  const std::uint64_t other = std::uint64_t{2} << 32 | 10;  // the tid was used again
  pool.chunk(index).owner = other;
  const std::uint32_t reserved = pool.chunk(index).reserved;
  REQUIRE(commit_record(writer, 64) != nullptr);
  CHECK(thread.chunk - 1 != index);
  CHECK(pool.chunk(index).reserved == reserved);
}

TEST_CASE("a handler that writes between a claim and its commit loses nothing") {
  TestPool pool(4);
  ThreadState thread = thread_with(10, 1);
  RingWriter writer(pool.header(), 1, thread);
  ChunkReader reader(pool.chunks(), 4);
  constexpr auto kHead = static_cast<std::uint32_t>(sizeof(SampleRecord));
  std::uint32_t bytes = 0;
  auto* outer = reinterpret_cast<SampleRecord*>(writer.claim(kHead, kHead, &bytes));
  REQUIRE(outer != nullptr);
  // The second doesn't fit beside the first: the chunk is sealed with the outer record unfinished.
  REQUIRE(write_sample(writer, thread, 2000));
  REQUIRE(write_sample(writer, thread, 2000));
  CHECK(drain(reader).empty());
  outer->sample = SampleFields{};
  outer->sample.head.values[kCpuTicks] = 1;
  outer->sample.serial = 99;
  RingWriter::commit(&outer->header, RecordKind::kSample, bytes);
  const std::vector<RawSample> samples = drain(reader);
  REQUIRE(samples.size() == 3);
  CHECK(samples[0].record.serial == 99);
  CHECK(samples[1].record.serial == 1);
  CHECK(samples[2].record.serial == 2);
  CHECK(reader.statistics().abandoned == 0);
}

}  // namespace
}  // namespace siprof::shim
