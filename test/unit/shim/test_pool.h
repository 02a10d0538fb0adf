// SPDX-License-Identifier: Apache-2.0
// Shared memory of a size that tests choose, as the attach child makes it, in plain
// anonymous memory, and the process's words that lead to it.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <stdexcept>

#include "proto/siprof/shared_memory.h"
#include "shim/core/process.h"

namespace siprof::shim {

class TestPool {
 public:
  explicit TestPool(std::uint32_t chunks, std::uint64_t session = 1)
      : bytes_(kSharedHeaderBytes + std::size_t{chunks} * kChunkBytes) {
    memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) throw std::bad_alloc();
    attach(chunks, session);
  }
  ~TestPool() {
    g_process.header = nullptr;
    g_process.session = nullptr;
    g_process.max_chunks = 0;
    munmap(memory_, bytes_);
  }
  TestPool(const TestPool&) = delete;
  TestPool& operator=(const TestPool&) = delete;

  // As a new attach does: empty memory at the same address, then the session's number.
  void replace(std::uint32_t chunks, std::uint64_t session) {
    memset(memory_, 0, bytes_);
    attach(chunks, session);
  }

  SharedHeader* header() const { return static_cast<SharedHeader*>(memory_); }
  std::byte* chunks() const { return static_cast<std::byte*>(memory_) + kSharedHeaderBytes; }
  ChunkHeader& chunk(std::uint32_t index) const {
    return *reinterpret_cast<ChunkHeader*>(chunks() + std::size_t{index} * kChunkBytes);
  }
  std::uint32_t owned_chunks() const {
    std::uint32_t owned = 0;
    for (std::uint32_t i = 0; i < header()->chunk_count.load(); ++i) owned += chunk(i).owner.load() != 0;
    return owned;
  }

 private:
  void attach(std::uint32_t chunks, std::uint64_t session) {
    if (kSharedHeaderBytes + std::size_t{chunks} * kChunkBytes > bytes_) throw std::length_error("chunks");
    header()->magic = kSharedMemoryMagic;
    header()->version = kSharedMemoryVersion;
    header()->max_chunks = chunks;
    header()->session = session;
    header()->chunk_count = chunks;
    session_.number = session;
    g_process.max_chunks = static_cast<std::uint32_t>((bytes_ - kSharedHeaderBytes) / kChunkBytes);
    g_process.header = header();
    g_process.session = &session_;
  }

  std::size_t bytes_;
  void* memory_ = nullptr;
  Session session_{};
};

}  // namespace siprof::shim
