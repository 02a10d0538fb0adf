// SPDX-License-Identifier: Apache-2.0
#include "shim/core/ring_writer.h"

#include "shim/core/process.h"

namespace siprof::shim {
namespace {

// The last chunks of a pool, for those who may take the whole of it.
constexpr std::uint32_t kept_of(std::uint32_t chunks) {
  return chunks / 2;
}

}  // namespace

// Never beyond what is mapped, whatever the shared page says. Pairs with the agent's
// release after it has grown the file.
std::uint32_t RingWriter::chunk_count() const {
  const std::uint32_t chunks = header_->chunk_count.load(std::memory_order_acquire);
  return chunks < g_process.max_chunks ? chunks : g_process.max_chunks;
}

// At least a chunk.
std::uint32_t RingWriter::own_share() const {
  const std::uint32_t chunks = chunk_count();
  return share_ == PoolShare::kWhole ? chunks : chunks - kept_of(chunks);
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
ChunkHeader* RingWriter::claim_among(std::uint32_t first, std::uint32_t chunks) {
  // Threads start at different places, so that they don't compete for the first.
  const std::uint32_t start = thread_.serial * 7;
  const std::uint32_t most = chunks < kSearchedChunks ? chunks : kSearchedChunks;
  for (std::uint32_t i = 0; i < most; ++i) {
    // From where the last search ended, whether it found one or not.
    const std::uint32_t index = first + (start + thread_.searched++) % chunks;
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

ChunkHeader* RingWriter::claim_chunk() {
  const std::uint32_t share = own_share();
  ChunkHeader* chunk = claim_among(0, share);
  if (chunk != nullptr || share_ != PoolShare::kWhole) return chunk;
  const std::uint32_t kept = kept_of(share);
  return kept == 0 ? nullptr : claim_among(share - kept, kept);
}

// The open chunk is one of those that are kept for others: it stays theirs if there is no other.
ChunkHeader* RingWriter::leave_to_others(ChunkHeader* chunk) {
  const std::uint32_t kept = thread_.chunk;
  ChunkHeader* other = claim_among(0, own_share());
  if (other == nullptr)
    thread_.chunk = kept;
  else
    seal_chunk(chunk);
  return other;
}

RecordHeader* RingWriter::claim(std::uint32_t least, std::uint32_t most, std::uint32_t* bytes) {
  follow_session();
  ChunkHeader* chunk = current();
  if (chunk != nullptr && thread_.chunk > own_share()) {
    chunk = leave_to_others(chunk);
    if (chunk == nullptr) return nullptr;
  }
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

std::uint32_t RingWriter::shrink(const RecordHeader* record, std::uint32_t bytes, std::uint32_t used) {
  ChunkHeader* chunk = current();
  if (chunk == nullptr) return bytes;
  const auto* payload = reinterpret_cast<const char*>(chunk + 1);
  const auto* start = reinterpret_cast<const char*>(record);
  if (start < payload || start >= payload + kChunkPayloadBytes) return bytes;
  const auto at = static_cast<std::uint32_t>(start - payload);
  std::uint32_t end = at + bytes;
  // A handler may have taken what comes next.
  return chunk->reserved.compare_exchange_strong(end, at + used, std::memory_order_relaxed) ? used : bytes;
}

void RingWriter::seal() {
  ChunkHeader* chunk = current();
  if (chunk == nullptr) return;
  seal_chunk(chunk);
  thread_.chunk = 0;
}

void RingWriter::seal_chunk(ChunkHeader* chunk) {
  std::uint32_t used = chunk->reserved.load(std::memory_order_relaxed);
  if (used > kChunkPayloadBytes) used = kChunkPayloadBytes;
  // Release: whoever sees the seal sees every record before it. Pairs with the
  // acquire in the agent's chunk reader.
  chunk->sealed.store(kSealedBit | used, std::memory_order_release);
}

}  // namespace siprof::shim
