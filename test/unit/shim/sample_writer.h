// SPDX-License-Identifier: Apache-2.0
// Writes samples as capture_copy.cpp does, but with a stack whose every byte follows
// from the sample's number: whoever reads it can tell whether it is whole.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "shim/core/ring_writer.h"

namespace siprof::shim {

inline std::byte stack_byte(std::uint32_t tid, std::uint32_t serial, std::size_t at) {
  return static_cast<std::byte>(tid * 17 + serial * 31 + at * 7 + at / 251);
}

inline void fill_stack(std::byte* to, const ThreadState& thread, std::uint32_t offset, std::uint32_t bytes) {
  for (std::uint32_t i = 0; i < bytes; ++i) {
    to[i] = stack_byte(static_cast<std::uint32_t>(thread.tid), thread.next_sample, std::size_t{offset} + i);
  }
}

// `wait` is called while the pool is full; false from it gives up. Returns whether
// all of the sample is written. `stack_bytes` is a multiple of 8.
template <typename Wait>
bool write_sample(RingWriter& writer, ThreadState& thread, std::uint32_t stack_bytes, Wait wait) {
  constexpr auto kHead = static_cast<std::uint32_t>(sizeof(SampleRecord));
  std::uint32_t bytes = 0;
  RecordHeader* space = nullptr;
  while ((space = writer.claim(kHead + std::min(stack_bytes, 512u), kHead + stack_bytes, &bytes)) ==
         nullptr) {
    if (!wait()) return false;
  }
  auto* record = reinterpret_cast<SampleRecord*>(space);
  SampleFields fields{};
  fields.head.values[kCpuTicks] = 1;
  fields.head.values[kCpuPeriodNs] = 10'000'000;
  fields.head.tid = static_cast<std::uint32_t>(thread.tid);
  fields.serial = ++thread.next_sample;
  fields.stack_bytes = stack_bytes;
  fields.inline_stack_bytes = std::min(bytes - kHead, stack_bytes);
  fields.registers[kRegisterIp] = reinterpret_cast<std::uint64_t>(&fill_stack);
  record->sample = fields;
  std::uint32_t done = fields.inline_stack_bytes;
  fill_stack(reinterpret_cast<std::byte*>(record + 1), thread, 0, done);
  RingWriter::commit(&record->header, RecordKind::kSample, bytes);

  constexpr auto kPieceHead = static_cast<std::uint32_t>(sizeof(StackPieceRecord));
  while (done < stack_bytes) {
    const std::uint32_t most = std::min(kChunkPayloadBytes, kPieceHead + stack_bytes - done);
    if ((space = writer.claim(kPieceHead + 8, most, &bytes)) == nullptr) {
      if (!wait()) return false;
      continue;
    }
    auto* piece = reinterpret_cast<StackPieceRecord*>(space);
    piece->serial = thread.next_sample;
    piece->offset = done;
    piece->stack_bytes = std::min(bytes - kPieceHead, stack_bytes - done);
    fill_stack(reinterpret_cast<std::byte*>(piece + 1), thread, done, piece->stack_bytes);
    done += piece->stack_bytes;
    RingWriter::commit(&piece->header, RecordKind::kStackPiece, bytes);
  }
  return true;
}

inline bool write_sample(RingWriter& writer, ThreadState& thread, std::uint32_t stack_bytes) {
  return write_sample(writer, thread, stack_bytes, [] { return false; });
}

}  // namespace siprof::shim
