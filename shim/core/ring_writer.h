// SPDX-License-Identifier: Apache-2.0
// Appends records to the calling thread's chain of chunks (shared_memory.h).
//
// One writer a chain. No lock, no call, bounded time. A handler that interrupts a
// writer of the same thread is safe: space is handed out by an atomic add and a
// record is visible only when committed.
#pragma once

#include <cstdint>

#include "proto/siprof/shared_memory.h"
#include "shim/core/thread.h"

namespace siprof::shim {

// Chunks that one claim looks at, at most; as many again among those that only some records may take.
inline constexpr std::uint32_t kSearchedChunks = 64;

// How much of the pool a record may take. Samples of a kind whose next one stands for those that are lost
// leave half of it to those that nothing stands for: while an agent starts beside a loaded machine,
// stacks are copied and nobody reads them.
enum class PoolShare { kWhole, kHalf };

class RingWriter {
 public:
  // `session` is the attachment `header` belongs to.
  RingWriter(SharedHeader* header, std::uint64_t session, ThreadState& thread,
             PoolShare share = PoolShare::kWhole)
      : header_(header), session_(session), thread_(thread), share_(share) {}

  // Space for a record of at least `least` and at most `most` bytes (multiples of
  // 8, least <= kChunkPayloadBytes); `*bytes` says how many. Null: pool is full.
  SIPROF_SIGNAL_SAFE RecordHeader* claim(std::uint32_t least, std::uint32_t most, std::uint32_t* bytes);

  // Gives back the end of a record that was claimed last: `used` of its `bytes` are kept, a multiple of 8.
  // What is given back is zero again. Returns how many bytes the record has: all, if it isn't the last one
  // any more.
  SIPROF_SIGNAL_SAFE std::uint32_t shrink(const RecordHeader* record, std::uint32_t bytes,
                                          std::uint32_t used);

  // Makes a claimed record visible to the agent.
  SIPROF_SIGNAL_SAFE static void commit(RecordHeader* record, RecordKind kind, std::uint32_t bytes) {
    record->bytes = bytes;
    // Pairs with the acquire in the agent's chunk reader.
    record->kind.store(kind, std::memory_order_release);
  }

  // Gives up the chunk being filled, so that the agent can take it back.
  SIPROF_SIGNAL_SAFE void seal();

 private:
  SIPROF_SIGNAL_SAFE std::uint32_t chunk_count() const;
  SIPROF_SIGNAL_SAFE std::uint32_t own_share() const;
  SIPROF_SIGNAL_SAFE ChunkHeader* current();
  SIPROF_SIGNAL_SAFE void follow_session();
  SIPROF_SIGNAL_SAFE ChunkHeader* claim_chunk();
  SIPROF_SIGNAL_SAFE ChunkHeader* leave_to_others(ChunkHeader* chunk);
  SIPROF_SIGNAL_SAFE static void seal_chunk(ChunkHeader* chunk);
  SIPROF_SIGNAL_SAFE ChunkHeader* claim_among(std::uint32_t first, std::uint32_t chunks);
  ChunkHeader* chunk_at(std::uint32_t index) const {
    return reinterpret_cast<ChunkHeader*>(reinterpret_cast<char*>(header_) + kSharedHeaderBytes +
                                          std::uint64_t{index} * kChunkBytes);
  }
  std::uint64_t owner() const {
    return std::uint64_t{thread_.serial} << 32 | static_cast<std::uint32_t>(thread_.tid);
  }

  SharedHeader* header_;
  std::uint64_t session_;
  ThreadState& thread_;
  PoolShare share_;
};

}  // namespace siprof::shim
