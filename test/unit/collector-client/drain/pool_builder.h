// SPDX-License-Identifier: Apache-2.0
// A pool of chunks whose every word a test sets by hand, also to what no writer would
// write. Only the chunks: ChunkReader doesn't see the header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "collector-client/drain/chunk_reader.h"
#include "proto/siprof/shared_memory.h"

namespace siprof::client {

constexpr std::uint64_t owner_of(std::uint32_t tid, std::uint32_t serial) {
  return std::uint64_t{serial} << 32 | tid;
}

class PoolBuilder {
 public:
  explicit PoolBuilder(std::uint32_t chunks)
      : chunks_(chunks), words_(std::size_t{chunks} * kChunkBytes / 8) {}

  std::byte* data() { return reinterpret_cast<std::byte*>(words_.data()); }
  std::size_t size() const { return words_.size() * sizeof(words_[0]); }
  std::uint32_t chunks() const { return chunks_; }
  ChunkHeader& chunk(std::uint32_t index) {
    return *reinterpret_cast<ChunkHeader*>(data() + std::size_t{index} * kChunkBytes);
  }
  std::byte* payload(std::uint32_t index, std::uint32_t offset = 0) {
    return reinterpret_cast<std::byte*>(&chunk(index) + 1) + offset;
  }

  void own(std::uint32_t index, std::uint64_t owner, std::uint32_t sequence) {
    chunk(index).owner = owner;
    chunk(index).sequence = sequence;
  }
  void seal(std::uint32_t index) { chunk(index).sealed = kSealedBit | chunk(index).reserved.load(); }

  // Reserves without committing: what a writer looks like in the middle.
  std::byte* reserve(std::uint32_t index, std::uint32_t bytes) {
    return payload(index, chunk(index).reserved.fetch_add(bytes));
  }
  static void commit(std::byte* at, RecordKind kind, std::uint32_t bytes) {
    auto* record = reinterpret_cast<RecordHeader*>(at);
    record->bytes = bytes;
    record->kind.store(kind, std::memory_order_release);
  }

  // A sample of `stack_bytes`, of which the first `inline_bytes` are in the record.
  std::byte* put_sample(std::uint32_t index, std::uint32_t serial, std::uint32_t stack_bytes,
                        std::uint32_t inline_bytes) {
    SampleFields fields{};
    fields.head.values[kCpuTicks] = 1;
    fields.serial = serial;
    fields.stack_bytes = stack_bytes;
    fields.inline_stack_bytes = inline_bytes;
    const auto bytes = static_cast<std::uint32_t>(sizeof(SampleRecord) + inline_bytes);
    std::byte* at = reserve(index, bytes);
    memcpy(at + sizeof(RecordHeader), &fields, sizeof(fields));
    fill(at + sizeof(SampleRecord), 0, inline_bytes);
    commit(at, RecordKind::kSample, bytes);
    return at;
  }
  void put_whole(std::uint32_t index, std::uint32_t serial) { put_sample(index, serial, 16, 16); }

  // A walked stack; `said` is the number of frames in the record, `put` how many there are.
  std::byte* put_frames(std::uint32_t index, std::uint32_t said, std::uint32_t put, std::uint32_t flags = 0) {
    FramesFields fields{};
    fields.head.flags = flags;
    fields.head.tid = 10;
    fields.frames = said;
    const auto bytes = static_cast<std::uint32_t>(sizeof(FramesRecord) + 8 * put);
    std::byte* at = reserve(index, bytes);
    memcpy(at + sizeof(RecordHeader), &fields, sizeof(fields));
    for (std::uint64_t i = 0; i < put; ++i) {
      const std::uint64_t address = 0x1000 + i;
      memcpy(at + sizeof(FramesRecord) + 8 * i, &address, sizeof(address));
    }
    commit(at, RecordKind::kFrames, bytes);
    return at;
  }

  // Frames and Python words; `said` is the number of the latter in the record, `put` how many there are.
  std::byte* put_mixed(std::uint32_t index, std::uint32_t frames, std::uint32_t said, std::uint32_t put) {
    FramesFields fields{};
    fields.head.tid = 10;
    fields.frames = frames;
    fields.python_words = said;
    const auto bytes = static_cast<std::uint32_t>(sizeof(FramesRecord) + 8 * (frames + put));
    std::byte* at = reserve(index, bytes);
    memcpy(at + sizeof(RecordHeader), &fields, sizeof(fields));
    for (std::uint64_t i = 0; i < frames + put; ++i) {
      const std::uint64_t word =
          i < frames ? 0x1000 + i : python_word(0x77 + i - frames, 5, i + 1 == frames + put);
      memcpy(at + sizeof(FramesRecord) + 8 * i, &word, sizeof(word));
    }
    commit(at, RecordKind::kFrames, bytes);
    return at;
  }

  // What a mark means, with `part_bytes` of a line table of 7s.
  std::byte* put_code(std::uint32_t index, const PythonCodeFields& fields, const std::string& name,
                      const std::string& file) {
    const auto bytes = static_cast<std::uint32_t>(
        (sizeof(PythonCodeRecord) + name.size() + file.size() + fields.part_bytes + 7) / 8 * 8);
    std::byte* at = reserve(index, bytes);
    memcpy(at + sizeof(RecordHeader), &fields, sizeof(fields));
    memcpy(at + sizeof(PythonCodeRecord), name.data(), name.size());
    memcpy(at + sizeof(PythonCodeRecord) + name.size(), file.data(), file.size());
    memset(at + sizeof(PythonCodeRecord) + name.size() + file.size(), 7, fields.part_bytes);
    commit(at, RecordKind::kPythonCode, bytes);
    return at;
  }
  // With zeros at the ends of both texts.
  static PythonCodeFields code_fields(std::uint32_t part_bytes) {
    PythonCodeFields fields{};
    fields.mark = 0x77;
    fields.first_line = 3;
    fields.name_bytes = 2;
    fields.file_bytes = 5;
    fields.version = 0x030b;
    fields.table_bytes = fields.part_bytes = part_bytes;
    return fields;
  }

  std::byte* put_piece(std::uint32_t index, std::uint32_t serial, std::uint32_t offset,
                       std::uint32_t stack_bytes) {
    const auto bytes = static_cast<std::uint32_t>(sizeof(StackPieceRecord) + stack_bytes);
    std::byte* at = reserve(index, bytes);
    const std::uint32_t words[] = {serial, offset, stack_bytes, 0};
    memcpy(at + sizeof(RecordHeader), words, sizeof(words));
    fill(at + sizeof(StackPieceRecord), offset, stack_bytes);
    commit(at, RecordKind::kStackPiece, bytes);
    return at;
  }

  static std::byte byte_at(std::uint32_t offset) { return static_cast<std::byte>(offset * 7 + offset / 256); }

 private:
  static void fill(std::byte* to, std::uint32_t offset, std::uint32_t bytes) {
    for (std::uint32_t i = 0; i < bytes; ++i) to[i] = byte_at(offset + i);
  }

  std::uint32_t chunks_;
  std::vector<std::uint64_t> words_;  // 8-byte aligned, like a mapping
};

// What came out, and whether each stack is what put_… wrote.
struct Collected {
  std::vector<RawSample> samples;
  ChunkReader::Sink sink() {
    return [this](const RawSample& sample) { samples.push_back(sample); };
  }
  std::vector<std::uint32_t> serials() const {
    std::vector<std::uint32_t> out;
    for (const RawSample& sample : samples) out.push_back(sample.record.serial);
    return out;
  }
  bool stacks_intact() const {
    for (const RawSample& sample : samples) {
      for (std::uint32_t i = 0; i < sample.stack.size(); ++i) {
        if (sample.stack[i] != PoolBuilder::byte_at(i)) return false;
      }
    }
    return true;
  }
};

}  // namespace siprof::client
