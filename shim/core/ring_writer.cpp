// SPDX-License-Identifier: Apache-2.0
#include "shim/core/ring_writer.h"

#include "shim/core/process.h"

namespace siprof::shim {

// Never beyond what is mapped, whatever the shared page says. Pairs with the agent's
// release after it has grown the file.
std::uint32_t RingWriter::chunk_count() const {
  const std::uint32_t chunks = header_->chunk_count.load(std::memory_order_acquire);
  return chunks < g_process.max_chunks ? chunks : g_process.max_chunks;
}

// The chunk being filled, if it still is ours: after a new attach the memory was
// replaced by empty memory, perhaps smaller, and after a fork it is the parent's.
ChunkHeader* RingWriter::current() {
  if (thread_.chunk == 0 || thread_.chunk > chunk_count()) return nullptr;
  ChunkHeader* chunk = chunk_at(thread_.chunk - 1);
  return chunk->owner.load(std::memory_order_relaxed) == owner() ? chunk : nullptr;
}

// Another thread attached. A tick after the new memory was mapped and before its
// session had a number may have claimed a chunk there: it is sealed like any other,
// and sequences go on, or the agent would find one of them twice and wait for the
// open chunk for ever.
void RingWriter::follow_session() {
  if (thread_.session == session_) return;
  thread_.session = session_;
  seal();
}

// A full pool is looked through over some ticks, not by each of them.
ChunkHeader* RingWriter::claim_chunk() {
  const std::uint32_t chunks = chunk_count();
  // Threads start at different places, so that they don't compete for chunk 0.
  const std::uint32_t start = thread_.serial * 7;
  const std::uint32_t most = chunks < kSearchedChunks ? chunks : kSearchedChunks;
  for (std::uint32_t i = 0; i < most; ++i) {
    // From where the last search ended, whether it found one or not.
    const std::uint32_t index = (start + thread_.searched++) % chunks;
    ChunkHeader* chunk = chunk_at(index);
    std::uint64_t none = 0;
    if (chunk->owner.load(std::memory_order_relaxed) != 0) continue;
    // Acquire pairs with the agent's release of a zeroed chunk.
    if (!chunk->owner.compare_exchange_strong(none, owner(), std::memory_order_acquire)) continue;
    // Pairs with the agent's acquire: it leaves chunks without a sequence alone.
    chunk->sequence.store(++thread_.last_sequence, std::memory_order_release);
    thread_.chunk = index + 1;
    return chunk;
  }
  thread_.chunk = 0;
  return nullptr;
}

RecordHeader* RingWriter::claim(std::uint32_t least, std::uint32_t most, std::uint32_t* bytes) {
  follow_session();
  ChunkHeader* chunk = current();
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (chunk != nullptr) {
      const std::uint32_t used = chunk->reserved.load(std::memory_order_relaxed);
      const std::uint32_t left = used < kChunkPayloadBytes ? kChunkPayloadBytes - used : 0;
      if (left >= least) {
        const std::uint32_t take = most < left ? most : left;
        // An add, not a store: a handler may have taken space since the load.
        const std::uint32_t at = chunk->reserved.fetch_add(take, std::memory_order_relaxed);
        if (at + take <= kChunkPayloadBytes) {
          *bytes = take;
          return reinterpret_cast<RecordHeader*>(reinterpret_cast<char*>(chunk + 1) + at);
        }
      }
      seal();
    }
    chunk = claim_chunk();
    if (chunk == nullptr) return nullptr;
  }
  return nullptr;
}

void RingWriter::seal() {
  ChunkHeader* chunk = current();
  if (chunk == nullptr) return;
  std::uint32_t used = chunk->reserved.load(std::memory_order_relaxed);
  if (used > kChunkPayloadBytes) used = kChunkPayloadBytes;
  // Release: whoever sees the seal sees every record before it. Pairs with the
  // acquire in the agent's chunk reader.
  chunk->sealed.store(kSealedBit | used, std::memory_order_release);
  thread_.chunk = 0;
}

}  // namespace siprof::shim
