// SPDX-License-Identifier: Apache-2.0
// What no writer writes: each is skipped and counted, and what is right around it is
// still read. test/fuzz/chunk_reader_fuzz.cpp goes on where these end.
#include <catch2/catch.hpp>
#include <cstring>

#include "collector-client/drain/chunk_reader.h"
#include "test/unit/collector-client/drain/pool_builder.h"

namespace siprof::client {
namespace {

using Serials = std::vector<std::uint32_t>;
constexpr std::uint64_t kOwner = owner_of(10, 1);

SampleFields& fields_of(std::byte* at) {
  return reinterpret_cast<SampleRecord*>(at)->sample;
}

TEST_CASE("walked stacks are read; those that claim more than is there, or nothing, are not") {
  PoolBuilder pool(1);
  pool.own(0, kOwner, 1);
  pool.put_frames(0, 3, 3);
  pool.put_frames(0, GENERATE(0u, 4u, 0x20000001u, 0xffffffffu), 3);
  pool.put_frames(0, 3, 3, kGivenUp);  // given up by the process
  pool.put_frames(0, 1, 1);
  pool.seal(0);
  ChunkReader reader(pool.data(), 1);
  Collected out;
  reader.drain(out.sink(), false);
  REQUIRE(out.samples.size() == 2);
  CHECK(out.samples[0].frames == std::vector<std::uint64_t>{0x1000, 0x1001, 0x1002});
  CHECK(out.samples[0].stack.empty());
  CHECK(out.samples[1].frames.size() == 1);
  CHECK(reader.statistics().malformed == 1);
}

TEST_CASE("a record whose size makes no sense ends its chunk") {
  PoolBuilder pool(1);
  pool.own(0, kOwner, 1);
  pool.put_whole(0, 1);
  std::byte* bad = pool.reserve(0, 64);
  PoolBuilder::commit(bad, RecordKind::kSample,
                      GENERATE(0u, 4u, 7u, 12u, 65u, 72u, 0xfffffff8u, 0xffffffffu));
  pool.seal(0);
  ChunkReader reader(pool.data(), 1);
  Collected out;
  reader.drain(out.sink(), false);
  CHECK(out.serials() == Serials{1});
  CHECK(reader.statistics().malformed == 1);
  CHECK(pool.chunk(0).owner == 0);
}

TEST_CASE("a sample whose fields contradict each other is skipped, the next one is read") {
  PoolBuilder pool(1);
  pool.own(0, kOwner, 1);
  SampleFields& fields = fields_of(pool.put_sample(0, 1, 64, 64));
  SECTION("more stack than can be") {
    fields.stack_bytes = kMaxStackBytes + 8;
  }
  SECTION("more inline than in all") {
    fields.inline_stack_bytes = fields.stack_bytes + 8;
  }
  SECTION("more inline than in the record") {
    fields.stack_bytes = fields.inline_stack_bytes = 72;
  }
  SECTION("an inline size that overflows when rounded up") {
    fields.inline_stack_bytes = 0xffffffff;
  }
  SECTION("no kind") {
    fields.head.event = static_cast<EventKind>(kEventKinds);
  }
  pool.put_whole(0, 2);
  ChunkReader reader(pool.data(), 1);
  Collected out;
  reader.drain(out.sink(), false);
  CHECK(out.serials() == Serials{2});
  CHECK(reader.statistics().malformed == 1);
}

TEST_CASE("a record too short for its kind, or of no known kind, is skipped") {
  PoolBuilder pool(1);
  pool.own(0, kOwner, 1);
  const auto kind = GENERATE(RecordKind::kSample, RecordKind::kStackPiece, static_cast<RecordKind>(77));
  PoolBuilder::commit(pool.reserve(0, 16), kind, 16);
  pool.put_whole(0, 2);
  ChunkReader reader(pool.data(), 1);
  Collected out;
  reader.drain(out.sink(), false);
  CHECK(out.serials() == Serials{2});
  CHECK(reader.statistics().malformed == 1);
}

TEST_CASE("a piece that doesn't fit its sample is skipped") {
  PoolBuilder pool(1);
  pool.own(0, kOwner, 1);
  pool.put_sample(0, 1, 200, 100 / 8 * 8);
  SECTION("of another sample") {
    pool.put_piece(0, 2, 96, 104);
  }
  SECTION("with a hole before it") {
    pool.put_piece(0, 1, 104, 96);
  }
  SECTION("beyond the stack's end") {
    pool.put_piece(0, 1, 96, 112);
  }
  SECTION("larger than its record") {
    std::byte* piece = pool.put_piece(0, 1, 96, 48);
    reinterpret_cast<StackPieceRecord*>(piece)->stack_bytes = 104;
  }
  SECTION("with a size that overflows when rounded up") {
    std::byte* piece = pool.put_piece(0, 1, 96, 48);
    reinterpret_cast<StackPieceRecord*>(piece)->stack_bytes = 0xffffffff;
  }
  pool.put_whole(0, 3);
  ChunkReader reader(pool.data(), 1);
  Collected out;
  reader.drain(out.sink(), false);
  CHECK(out.serials() == Serials{1, 3});
  CHECK(out.samples[0].stack.size() == 96);
  CHECK(reader.statistics().malformed == 1);
}

TEST_CASE("sizes of the chunk itself are held within it") {
  PoolBuilder pool(2);
  pool.own(0, kOwner, 1);
  pool.put_whole(0, 1);
  SECTION("reserved beyond the end") {
    pool.chunk(0).reserved = 0xffffffff;
  }
  SECTION("sealed beyond the end") {
    pool.chunk(0).sealed = 0xffffffff;
  }
  SECTION("sealed without the bit") {
    pool.chunk(0).sealed = 0x7fffffff;
  }
  ChunkReader reader(pool.data(), 2);
  Collected out;
  for (int i = 0; i < 60; ++i) reader.drain(out.sink(), false);
  reader.drain(out.sink(), true);
  CHECK(out.serials() == Serials{1});
  CHECK(pool.chunk(0).owner == 0);
}

// Records start at multiples of 8, or the atomic load of their kind isn't one.
TEST_CASE("a chunk that grows by odd sizes is never read at an odd address") {
  PoolBuilder pool(1);
  pool.own(0, kOwner, 1);
  ChunkReader reader(pool.data(), 1);
  Collected out;
  PoolBuilder::commit(pool.payload(0), RecordKind::kSample, 4000);
  for (const std::uint32_t reserved : {13u, 35u, 1001u, 4000u, 4063u}) {
    pool.chunk(0).reserved = reserved;
    reader.drain(out.sink(), false);
  }
  reader.drain(out.sink(), true);
  CHECK(out.samples.empty());
  CHECK(reader.statistics().malformed >= 1);
}

TEST_CASE("two chunks of one place in a chain are each read once") {
  PoolBuilder pool(3);
  pool.own(0, kOwner, 5);
  pool.put_whole(0, 1);
  pool.own(1, kOwner, 5);
  pool.put_whole(1, 2);
  pool.seal(0);
  pool.seal(1);
  ChunkReader reader(pool.data(), 3);
  Collected out;
  for (int i = 0; i < 3; ++i) reader.drain(out.sink(), false);
  CHECK(out.samples.size() == 2);
  CHECK(pool.chunk(0).owner == 0);
  CHECK(pool.chunk(1).owner == 0);
}

TEST_CASE("an open chunk that its writer has left behind doesn't hold up what follows") {
  PoolBuilder pool(8);
  pool.own(0, kOwner, 1);
  pool.put_whole(0, 1);  // never sealed
  ChunkReader reader(pool.data(), 8);
  Collected out;
  reader.drain(out.sink(), false);
  for (std::uint32_t i = 1; i < 6; ++i) {
    pool.own(i, kOwner, i + 1);
    pool.put_whole(i, i + 1);
    pool.seal(i);
    reader.drain(out.sink(), false);
  }
  CHECK(out.serials() == Serials{1, 2, 3, 4, 5, 6});
  CHECK(pool.chunk(0).owner == 0);
}

TEST_CASE("owners that change under the reader cost no memory for long") {
  PoolBuilder pool(16);
  ChunkReader reader(pool.data(), 16);
  Collected out;
  for (std::uint32_t round = 0; round < 500; ++round) {
    for (std::uint32_t i = 0; i < 16; ++i) pool.own(i, owner_of(round * 16 + i, round + 1), 1);
    reader.drain(out.sink(), false);
    CHECK(reader.statistics().chunks_in_use == 16);
  }
  for (std::uint32_t i = 0; i < 16; ++i) pool.own(i, 0, 0);
  for (int i = 0; i < 50; ++i) reader.drain(out.sink(), false);
  CHECK(reader.idle_threads().empty());
}

}  // namespace
}  // namespace siprof::client
