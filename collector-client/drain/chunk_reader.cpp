// SPDX-License-Identifier: Apache-2.0
#include "collector-client/drain/chunk_reader.h"

#include <string.h>

#include <algorithm>
#include <tuple>

#include "absl/container/flat_hash_map.h"

namespace siprof::client {
namespace {

constexpr std::uint32_t kPatience = 40;    // drains that an unfinished record is waited for
constexpr std::uint32_t kIdleDrains = 20;  // drains after which a thread is looked for
constexpr std::uint32_t kPieceDrains =
    20;  // drains that a sample waits for its pieces: its thread may be off the CPU

std::uint32_t round_up(std::uint32_t bytes) {
  return (bytes + 7) & ~7u;
}

bool makes_sense(const EventHead& head) {
  return static_cast<std::uint32_t>(head.event) < kEventKinds && head.extra_bytes <= kMaxExtraBytes;
}

std::vector<std::uint64_t> words_at(const std::byte* at, std::uint32_t count) {
  std::vector<std::uint64_t> words(count);
  if (count != 0) memcpy(words.data(), at, count * sizeof(std::uint64_t));
  return words;
}

// Up to the zero at its end, which is the last of `bytes`.
std::string text_at(const std::byte* at, std::uint32_t bytes) {
  const std::string text(reinterpret_cast<const char*>(at), bytes);
  return text.substr(0, text.find('\0'));
}

bool makes_sense(const PythonCodeFields& code, std::uint32_t room) {
  return code.mark >> kPythonMarkBits == 0 && code.name_bytes != 0 && code.name_bytes <= kMaxPythonName &&
         code.file_bytes != 0 && code.file_bytes <= kMaxPythonFile &&
         code.table_bytes <= kMaxPythonLineTable && code.part_start <= code.table_bytes &&
         code.part_bytes <= code.table_bytes - code.part_start &&
         std::uint64_t{code.name_bytes} + code.file_bytes + code.part_bytes <= room;
}

std::string extra_at(const std::byte* at, const EventHead& head) {
  return {reinterpret_cast<const char*>(at), head.extra_bytes};
}

}  // namespace

std::vector<ChunkReader::Place> ChunkReader::look() const {
  std::vector<Place> places;
  for (std::uint32_t i = 0; i < chunks_; ++i) {
    const std::uint64_t owner = header(i)->owner.load(std::memory_order_acquire);
    if (owner == 0) continue;
    // Pairs with the writer's release: 0 means that it is being claimed.
    const std::uint32_t sequence = header(i)->sequence.load(std::memory_order_acquire);
    if (sequence != 0) places.push_back({owner, sequence, i});
  }
  return places;
}

bool ChunkReader::is_being_read(const Place& place) const {
  const auto chain = chains_.find(place.owner);
  return chain != chains_.end() && chain->second.sequence == place.sequence;
}

// A look isn't a moment: a chunk may be claimed where it has passed, and the same thread's next one where it
// still comes. A second look finds all that were claimed before those that the first one saw; those after
// them wait.
std::vector<ChunkReader::Place> ChunkReader::occupied() const {
  std::vector<Place> places = look();
  if (!std::ranges::all_of(places, [this](const Place& place) { return is_being_read(place); })) {
    absl::flat_hash_map<std::uint64_t, std::uint32_t> newest;
    for (const Place& place : places) newest[place.owner] = std::max(newest[place.owner], place.sequence);
    places = look();
    std::erase_if(places, [&newest](const Place& place) {
      const auto seen = newest.find(place.owner);
      return seen == newest.end() || place.sequence > seen->second;
    });
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return std::tie(a.owner, a.sequence, a.index) < std::tie(b.owner, b.sequence, b.index);
  });
  return places;
}

void ChunkReader::drain(const Sink& sink, bool final) {
  const std::vector<Place> places = occupied();
  statistics_.chunks_in_use = static_cast<std::uint32_t>(places.size());
  for (auto& [owner, chain] : chains_) ++chain.still;
  std::uint64_t waiting = 0;  // its chunks come in order: none before the one that isn't finished
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (places[i].owner == waiting) continue;
    const bool left = i + 1 < places.size() && places[i + 1].owner == places[i].owner;
    const Writer writer = final ? Writer::kGone : left ? Writer::kElsewhere : Writer::kHere;
    if (!read_chunk(places[i], chains_[places[i].owner], sink, writer)) waiting = places[i].owner;
  }
  for (auto it = chains_.begin(); it != chains_.end();) {
    Chain& chain = it->second;
    if (chain.pending && (final || ++chain.pending_age > kPieceDrains)) emit(chain, sink);
    const bool gone = !std::binary_search(places.begin(), places.end(), Place{it->first, 0, 0},
                                          [](const Place& a, const Place& b) { return a.owner < b.owner; });
    // A thread between two chunks is kept for a while, for the pieces to come.
    it = gone && !chain.pending ? chains_.erase(it) : std::next(it);
  }
}

bool ChunkReader::read_chunk(const Place& place, Chain& chain, const Sink& sink, Writer writer) {
  if (chain.sequence != place.sequence || chain.index != place.index) {
    chain.sequence = place.sequence;
    chain.index = place.index;
    chain.offset = 0;
    chain.still = 0;
  }
  const ChunkHeader* chunk = header(place.index);
  // Acquire pairs with the writer's seal: all records before it are visible.
  const std::uint32_t sealed = chunk->sealed.load(std::memory_order_acquire);
  const std::uint32_t used =
      sealed != 0 ? sealed & ~kSealedBit : chunk->reserved.load(std::memory_order_relaxed);
  const std::uint32_t limit = std::min(used, kChunkPayloadBytes) & ~7u;  // records start at multiples of 8
  const auto* payload = reinterpret_cast<const std::byte*>(chunk + 1);
  while (chain.offset + sizeof(RecordHeader) <= limit) {
    const std::uint32_t consumed = read_record(payload + chain.offset, limit - chain.offset, chain, sink);
    if (consumed == 0) break;
    chain.offset += consumed;
    chain.still = 0;
  }
  const bool complete = sealed != 0 || writer != Writer::kHere;
  const bool done = complete && chain.offset + sizeof(RecordHeader) > limit;
  const bool stuck = (complete && chain.still > kPatience) || writer == Writer::kGone;
  if (!done && !stuck) return false;
  if (!done && chain.offset < limit) ++statistics_.abandoned;
  release(place);
  return true;
}

std::uint32_t ChunkReader::read_record(const std::byte* at, std::uint32_t available, Chain& chain,
                                       const Sink& sink) {
  const auto* shared = reinterpret_cast<const RecordHeader*>(at);
  // Pairs with RingWriter::commit.
  const RecordKind kind = shared->kind.load(std::memory_order_acquire);
  if (kind == RecordKind::kNone) return 0;
  const std::uint32_t bytes = shared->bytes;
  if (bytes < sizeof(RecordHeader) || bytes > available || bytes % 8 != 0) {
    // Where the next one starts can't be known: the rest of the chunk is lost.
    ++statistics_.malformed;
    return available;
  }
  bool good = false;
  if (kind == RecordKind::kSample) good = read_sample(at, bytes, chain, sink);
  if (kind == RecordKind::kFrames) good = read_frames(at, bytes, chain, sink);
  if (kind == RecordKind::kStackPiece) good = read_piece(at, bytes, chain, sink);
  if (kind == RecordKind::kPythonCode) good = read_python_code(at, bytes);
  if (!good) ++statistics_.malformed;
  return bytes;
}

bool ChunkReader::read_sample(const std::byte* at, std::uint32_t bytes, Chain& chain, const Sink& sink) {
  if (chain.pending) emit(chain, sink);
  if (bytes < sizeof(SampleRecord)) return false;
  RawSample sample;
  memcpy(&sample.record, at + sizeof(RecordHeader), sizeof(SampleFields));
  const SampleFields& record = sample.record;
  if (!makes_sense(record.head) || record.python_words > kMaxPythonFrames) return false;
  const std::uint32_t python_at = sizeof(SampleRecord) + round_up(record.head.extra_bytes);
  const std::uint32_t head_bytes = python_at + record.python_words * std::uint32_t{sizeof(std::uint64_t)};
  if (bytes < head_bytes || record.stack_bytes > kMaxStackBytes ||
      record.inline_stack_bytes > record.stack_bytes ||
      round_up(record.inline_stack_bytes) > bytes - head_bytes) {
    return false;
  }
  sample.extra = extra_at(at + sizeof(SampleRecord), record.head);
  sample.python = words_at(at + python_at, record.python_words);
  sample.stack.assign(at + head_bytes, at + head_bytes + record.inline_stack_bytes);
  const bool whole = record.inline_stack_bytes == record.stack_bytes;
  chain.pending = std::move(sample);
  chain.pending_age = 0;
  if (whole) emit(chain, sink);
  return true;
}

bool ChunkReader::read_frames(const std::byte* at, std::uint32_t bytes, Chain& chain, const Sink& sink) {
  if (chain.pending) emit(chain, sink);
  if (bytes < sizeof(FramesRecord)) return false;
  FramesFields fields;
  memcpy(&fields, at + sizeof(RecordHeader), sizeof fields);
  const std::uint32_t head_bytes = sizeof(FramesRecord) + round_up(fields.head.extra_bytes);
  const bool is_trace = (fields.head.flags & kTraceAlone) != 0;
  if (!makes_sense(fields.head) || bytes < head_bytes || (fields.frames == 0) != is_trace ||
      fields.frames > (bytes - head_bytes) / sizeof(std::uint64_t) ||
      fields.python_words > kMaxPythonFrames ||
      fields.python_words > (bytes - head_bytes) / sizeof(std::uint64_t) - fields.frames)
    return false;
  if ((fields.head.flags & kGivenUp) != 0) return true;
  RawSample sample{};
  sample.record.head = fields.head;
  sample.extra = extra_at(at + sizeof(FramesRecord), fields.head);
  sample.frames = words_at(at + head_bytes, fields.frames);
  sample.python = words_at(at + head_bytes + fields.frames * sizeof(std::uint64_t), fields.python_words);
  if (!sample.frames.empty()) sample.record.registers[kRegisterIp] = sample.frames[0];
  ++statistics_.samples;
  sink(sample);
  return true;
}

bool ChunkReader::read_piece(const std::byte* at, std::uint32_t bytes, Chain& chain, const Sink& sink) {
  StackPieceRecord piece;
  if (bytes < sizeof(piece)) return false;
  memcpy(static_cast<void*>(&piece), at, sizeof(piece));
  if (!chain.pending || piece.serial != chain.pending->record.serial) return false;
  RawSample& sample = *chain.pending;
  if (piece.offset != sample.stack.size() || round_up(piece.stack_bytes) > bytes - sizeof(piece) ||
      piece.stack_bytes > sample.record.stack_bytes - piece.offset) {
    return false;
  }
  sample.stack.insert(sample.stack.end(), at + sizeof(piece), at + sizeof(piece) + piece.stack_bytes);
  chain.pending_age = 0;
  if (sample.stack.size() == sample.record.stack_bytes) emit(chain, sink);
  return true;
}

bool ChunkReader::read_python_code(const std::byte* at, std::uint32_t bytes) {
  if (bytes < sizeof(PythonCodeRecord)) return false;
  PythonCodePart part;
  memcpy(&part.fields, at + sizeof(RecordHeader), sizeof(part.fields));
  const PythonCodeFields& code = part.fields;
  if (code.mark == 0) return true;  // given up by the process
  if (!makes_sense(code, bytes - static_cast<std::uint32_t>(sizeof(PythonCodeRecord)))) return false;
  at += sizeof(PythonCodeRecord);
  part.name = text_at(at, code.name_bytes);
  part.file = text_at(at + code.name_bytes, code.file_bytes);
  at += code.name_bytes + code.file_bytes;
  part.table.assign(at, at + code.part_bytes);
  if (python_sink_) python_sink_(part);
  return true;
}

void ChunkReader::emit(Chain& chain, const Sink& sink) {
  ++statistics_.samples;
  sink(*chain.pending);
  chain.pending.reset();
}

void ChunkReader::release(const Place& place) {
  ChunkHeader* chunk = header(place.index);
  memset(reinterpret_cast<std::byte*>(chunk) + sizeof(std::uint64_t), 0, kChunkBytes - sizeof(std::uint64_t));
  // Pairs with the acquire of the writer that claims it next.
  chunk->owner.store(0, std::memory_order_release);
}

std::vector<std::uint32_t> ChunkReader::idle_threads() const {
  std::vector<std::uint32_t> tids;
  for (const auto& [owner, chain] : chains_) {
    if (chain.still > kIdleDrains) tids.push_back(static_cast<std::uint32_t>(owner));
  }
  return tids;
}

void ChunkReader::reclaim(std::uint32_t tid, const Sink& sink) {
  for (const Place& place : occupied()) {
    if (static_cast<std::uint32_t>(place.owner) == tid)
      read_chunk(place, chains_[place.owner], sink, Writer::kGone);
  }
  for (auto it = chains_.begin(); it != chains_.end();) {
    const bool is_dead = static_cast<std::uint32_t>(it->first) == tid;
    if (is_dead && it->second.pending) emit(it->second, sink);
    it = is_dead ? chains_.erase(it) : std::next(it);
  }
}

}  // namespace siprof::client
