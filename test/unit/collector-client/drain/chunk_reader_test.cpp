// SPDX-License-Identifier: Apache-2.0
// What writers leave behind in ordinary lives: chains over chunks, pieces, unfinished
// records, threads that end.
#include "collector-client/drain/chunk_reader.h"

#include <catch2/catch.hpp>

#include "test/unit/collector-client/drain/pool_builder.h"

namespace siprof::client {
namespace {

using Serials = std::vector<std::uint32_t>;
constexpr std::uint64_t kOwner = owner_of(10, 1);

TEST_CASE("an all-zero pool is empty") {
  PoolBuilder pool(4);
  ChunkReader reader(pool.data(), 4);
  Collected out;
  reader.drain(out.sink(), false);
  reader.drain(out.sink(), true);
  CHECK(out.samples.empty());
  CHECK(reader.statistics().chunks_in_use == 0);
  CHECK(reader.idle_threads().empty());
}

TEST_CASE("a chain is read in the order of its sequence, wherever its chunks lie") {
  PoolBuilder pool(8);
  const std::uint32_t places[] = {5, 0, 7, 2};
  for (std::uint32_t i = 0; i < 4; ++i) {
    pool.own(places[i], kOwner, i + 1);
    pool.put_whole(places[i], 2 * i + 1);
    pool.put_whole(places[i], 2 * i + 2);
    if (i != 3) pool.seal(places[i]);
  }
  ChunkReader reader(pool.data(), 8);
  Collected out;
  reader.drain(out.sink(), false);
  CHECK(out.serials() == Serials{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(out.stacks_intact());
  for (const std::uint32_t sealed : {5u, 0u, 7u}) CHECK(pool.chunk(sealed).owner == 0);
  CHECK(pool.chunk(2).owner == kOwner);
}

TEST_CASE("a chunk that is given back is zero to its last byte") {
  PoolBuilder pool(1);
  pool.own(0, kOwner, 1);
  pool.put_whole(0, 1);
  pool.seal(0);
  *pool.payload(0, kChunkPayloadBytes - 1) = std::byte{7};
  ChunkReader reader(pool.data(), 1);
  Collected out;
  reader.drain(out.sink(), false);
  CHECK(std::all_of(pool.data(), pool.data() + pool.size(), [](std::byte b) { return b == std::byte{0}; }));
}

TEST_CASE("an open chunk is read as it grows and each record once") {
  PoolBuilder pool(2);
  pool.own(0, kOwner, 1);
  ChunkReader reader(pool.data(), 2);
  Collected out;
  for (std::uint32_t serial = 1; serial <= 5; ++serial) {
    pool.put_whole(0, serial);
    reader.drain(out.sink(), false);
    reader.drain(out.sink(), false);
  }
  CHECK(out.serials() == Serials{1, 2, 3, 4, 5});
  CHECK(pool.chunk(0).owner == kOwner);
}

TEST_CASE("a chunk whose owner has no sequence yet is left alone") {
  PoolBuilder pool(1);
  pool.own(0, kOwner, 0);
  pool.put_whole(0, 1);
  pool.seal(0);
  ChunkReader reader(pool.data(), 1);
  Collected out;
  reader.drain(out.sink(), false);
  CHECK(out.samples.empty());
  CHECK(pool.chunk(0).owner == kOwner);
}

TEST_CASE("pieces are joined, within a chunk and over chunks") {
  PoolBuilder pool(3);
  pool.own(0, kOwner, 1);
  pool.put_sample(0, 1, 6000, 1000);
  pool.put_piece(0, 1, 1000, 800);
  pool.seal(0);
  pool.own(1, kOwner, 2);
  pool.put_piece(1, 1, 1800, 4000);
  pool.seal(1);
  ChunkReader reader(pool.data(), 3);
  Collected out;
  reader.drain(out.sink(), false);
  CHECK(out.samples.empty());
  pool.own(2, kOwner, 3);
  pool.put_piece(2, 1, 5800, 200);
  reader.drain(out.sink(), false);
  REQUIRE(out.samples.size() == 1);
  CHECK(out.samples[0].stack.size() == 6000);
  CHECK(out.stacks_intact());
  CHECK(reader.statistics().malformed == 0);
}

TEST_CASE("a sample whose pieces never come is handed on as far as it came") {
  PoolBuilder pool(1);
  pool.own(0, kOwner, 1);
  pool.put_sample(0, 1, 6000, 1000);
  ChunkReader reader(pool.data(), 1);
  Collected out;
  SECTION("when the next sample comes") {
    pool.put_whole(0, 2);
  }
  SECTION("when nothing comes for a while") {
    for (int i = 0; i < 50; ++i) reader.drain(out.sink(), false);
  }
  SECTION("when the writers are gone") {
    reader.drain(out.sink(), true);
  }
  reader.drain(out.sink(), false);
  REQUIRE(!out.samples.empty());
  CHECK(out.samples[0].record.serial == 1);
  CHECK(out.samples[0].stack.size() == 1000);
  CHECK(out.samples[0].record.stack_bytes == 6000);
  CHECK(out.stacks_intact());
}

TEST_CASE("a sample waits for pieces while its thread is off the CPU for a second") {
  PoolBuilder pool(1);
  pool.own(0, kOwner, 1);
  pool.put_sample(0, 1, 1200, 1000);
  ChunkReader reader(pool.data(), 1);
  Collected out;
  for (int i = 0; i < 20; ++i) reader.drain(out.sink(), false);  // every 50 ms at the most
  CHECK(out.samples.empty());
  pool.put_piece(0, 1, 1000, 200);
  reader.drain(out.sink(), false);
  REQUIRE(out.samples.size() == 1);
  CHECK(out.samples[0].stack.size() == 1200);
}

TEST_CASE("an unfinished record holds up its own chain only") {
  PoolBuilder pool(3);
  pool.own(0, kOwner, 1);
  pool.put_whole(0, 1);
  std::byte* open = pool.reserve(0, 200);
  pool.put_whole(0, 3);
  pool.seal(0);
  pool.own(1, kOwner, 2);
  pool.put_whole(1, 4);
  pool.own(2, owner_of(11, 2), 1);
  pool.put_whole(2, 100);
  ChunkReader reader(pool.data(), 3);
  Collected out;
  reader.drain(out.sink(), false);
  CHECK(out.serials() == Serials{1, 100});
  PoolBuilder::commit(open, RecordKind::kStackPiece, 200);
  reader.drain(out.sink(), false);
  CHECK(out.serials() == Serials{1, 100, 3, 4});
  CHECK(reader.statistics().abandoned == 0);
}

TEST_CASE("a record that stays unfinished in a sealed chunk is abandoned in the end") {
  PoolBuilder pool(2);
  pool.own(0, kOwner, 1);
  pool.put_whole(0, 1);
  pool.reserve(0, 200);
  pool.seal(0);
  pool.own(1, kOwner, 2);
  pool.put_whole(1, 2);
  ChunkReader reader(pool.data(), 2);
  Collected out;
  for (int i = 0; i < 60; ++i) reader.drain(out.sink(), false);
  CHECK(out.serials() == Serials{1, 2});
  CHECK(reader.statistics().abandoned == 1);
  CHECK(pool.chunk(0).owner == 0);
}

TEST_CASE("a record in an open chunk is waited for without end, until the writers are gone") {
  PoolBuilder pool(1);
  pool.own(0, kOwner, 1);
  std::byte* open = pool.reserve(0, 200);
  ChunkReader reader(pool.data(), 1);
  Collected out;
  for (int i = 0; i < 100; ++i) reader.drain(out.sink(), false);
  CHECK(pool.chunk(0).owner == kOwner);
  SECTION("committed late") {
    PoolBuilder::commit(open, RecordKind::kStackPiece, 200);
    pool.put_whole(0, 1);
    reader.drain(out.sink(), false);
    CHECK(out.serials() == Serials{1});
  }
  SECTION("never") {
    reader.drain(out.sink(), true);
    CHECK(reader.statistics().abandoned == 1);
    CHECK(pool.chunk(0).owner == 0);
  }
}

TEST_CASE("a final drain takes all that is committed and gives every chunk back") {
  PoolBuilder pool(4);
  for (std::uint32_t i = 0; i < 4; ++i) {
    pool.own(i, owner_of(10 + i, i + 1), 1);
    for (std::uint32_t k = 0; k < 3; ++k) pool.put_whole(i, i * 10 + k);
  }
  ChunkReader reader(pool.data(), 4);
  Collected out;
  reader.drain(out.sink(), true);
  CHECK(out.samples.size() == 12);
  for (std::uint32_t i = 0; i < 4; ++i) CHECK(pool.chunk(i).owner == 0);
  CHECK(reader.statistics().abandoned == 0);
}

TEST_CASE("a thread that hasn't written for a while is named, one that writes isn't") {
  PoolBuilder pool(2);
  pool.own(0, owner_of(10, 1), 1);
  pool.own(1, owner_of(11, 2), 1);
  ChunkReader reader(pool.data(), 2);
  Collected out;
  for (std::uint32_t i = 0; i < 30; ++i) {
    if (i % 2 == 0) pool.put_whole(1, i);
    if (i == 10) pool.put_whole(0, 1);
    reader.drain(out.sink(), false);
    if (i == 25) CHECK(reader.idle_threads().empty());
  }
  for (std::uint32_t i = 0; i < 5; ++i) reader.drain(out.sink(), false);
  CHECK(reader.idle_threads() == std::vector<std::uint32_t>{10});
}

TEST_CASE("a dead thread's chunks are read to their end, joined, and taken back") {
  PoolBuilder pool(3);
  pool.own(0, kOwner, 1);
  pool.put_sample(0, 1, 2000, 1000);
  pool.reserve(0, 64);  // it died in a handler here: no commit, ever
  pool.seal(0);
  pool.own(1, kOwner, 2);
  pool.put_piece(1, 1, 1000, 1000);
  pool.put_whole(1, 2);
  pool.own(2, owner_of(11, 2), 1);
  pool.put_whole(2, 3);
  ChunkReader reader(pool.data(), 3);
  Collected out;
  reader.reclaim(10, out.sink());
  CHECK(out.serials() == Serials{1, 2});
  CHECK(out.samples[0].stack.size() == 2000);
  CHECK(out.stacks_intact());
  CHECK(pool.chunk(0).owner == 0);
  CHECK(pool.chunk(1).owner == 0);
  CHECK(pool.chunk(2).owner != 0);
}

TEST_CASE("chunks that the pool has grown by are read too") {
  PoolBuilder pool(4);
  ChunkReader reader(pool.data(), 2);
  pool.own(3, kOwner, 1);
  pool.put_whole(3, 1);
  Collected out;
  reader.drain(out.sink(), false);
  CHECK(out.samples.empty());
  reader.set_chunks(4);
  reader.drain(out.sink(), false);
  CHECK(out.serials() == Serials{1});
}

}  // namespace
}  // namespace siprof::client
