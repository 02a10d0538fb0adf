// SPDX-License-Identifier: Apache-2.0
#include "collector-client/drain/shared_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "collector-client/base/file_io.h"

namespace siprof::client {
namespace {

constexpr std::size_t bytes_of(std::uint32_t chunks) {
  return kSharedHeaderBytes + std::size_t{chunks} * kChunkBytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SharedPool>> SharedPool::map(int memory_fd) {
  const int seals = fcntl(memory_fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    return absl::InvalidArgumentError("shared memory is not sealed against shrinking");
  }
  struct stat file {};
  if (fstat(memory_fd, &file) != 0) return system_error(errno, "cannot look at", "shared memory");
  if (file.st_size < static_cast<off_t>(bytes_of(1)))
    return absl::InvalidArgumentError("shared memory is too small");
  void* base =
      mmap(nullptr, bytes_of(kMaxChunks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memory_fd, 0);
  if (base == MAP_FAILED) return system_error(errno, "cannot map", "shared memory");
  const auto* header = static_cast<const SharedHeader*>(base);
  const std::uint32_t max_chunks = std::min(header->max_chunks, kMaxChunks);
  const auto in_file = static_cast<std::uint64_t>(file.st_size - kSharedHeaderBytes) / kChunkBytes;
  const auto chunks = static_cast<std::uint32_t>(
      std::min<std::uint64_t>({in_file, max_chunks, header->chunk_count.load(std::memory_order_acquire)}));
  if (header->magic != kSharedMemoryMagic || header->version != kSharedMemoryVersion || chunks == 0) {
    munmap(base, bytes_of(kMaxChunks));
    return absl::InvalidArgumentError(
        "shared memory of another version: use libsiprof.so and siprof of one release");
  }
  const int fd = fcntl(memory_fd, F_DUPFD_CLOEXEC, 3);
  return std::unique_ptr<SharedPool>(new SharedPool(fd, static_cast<std::byte*>(base), chunks, max_chunks));
}

SharedPool::~SharedPool() {
  munmap(base_, bytes_of(kMaxChunks));
  if (fd_ >= 0) close(fd_);
}

bool SharedPool::grow() {
  const std::uint32_t more = std::min(chunk_count_ * 2, max_chunks_);
  if (more <= chunk_count_ || fd_ < 0) return false;
  // Pages before use: the app must never meet a hole.
  if (posix_fallocate(fd_, 0, static_cast<off_t>(bytes_of(more))) != 0) return false;
  chunk_count_ = more;
  header()->chunk_count.store(more, std::memory_order_release);  // pairs with the writer's acquire
  return true;
}

void SharedPool::control(const Rates& rates) {
  header()->hz.store(rates.hz, std::memory_order_relaxed);
  header()->kinds.store(rates.kinds, std::memory_order_relaxed);
  header()->heap_interval_bytes.store(rates.heap_interval_bytes, std::memory_order_relaxed);
  header()->block_interval_ns.store(rates.block_interval_ns, std::memory_order_relaxed);
  header()->error_interval.store(rates.error_interval, std::memory_order_relaxed);
  header()->control_generation.fetch_add(1, std::memory_order_release);  // pairs with the handler's acquire
}

void SharedPool::count_lost_agent(std::uint64_t ticks) {
  header()->counters[static_cast<std::uint32_t>(Counter::lost_agent_gone)].fetch_add(
      ticks, std::memory_order_relaxed);
}

void SharedPool::publish(const PublishedCode& code, std::span<const CodeRange> ranges) {
  auto* map = reinterpret_cast<CodeMap*>(base_ + kCodeMapOffset);
  const std::uint32_t sequence = map->sequence.load(std::memory_order_relaxed) | 1;
  map->sequence.store(sequence, std::memory_order_relaxed);
  std::atomic_thread_fence(
      std::memory_order_release);  // odd before anything changes; pairs with tables_hold()
  const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(ranges.size(), kMaxCodeRanges));
  map->unmap_generation = code.unmap_generation;
  map->arena_id = code.arena_id;
  map->arena_bytes = code.arena_bytes;
  memset(map->arena_path, 0, kArenaPathBytes);
  memcpy(map->arena_path, code.arena_path.data(),
         std::min<std::size_t>(code.arena_path.size(), kArenaPathBytes - 1));
  map->range_count = count;
  memcpy(map->ranges, ranges.data(), count * sizeof(CodeRange));
  map->sequence.store(sequence + 1, std::memory_order_release);  // pairs with read_tables()
  if (code.arena_bytes == announced_bytes_) return;
  announced_bytes_ = code.arena_bytes;
  header()->arena_generation.fetch_add(1, std::memory_order_release);  // pairs with map_tables_if_due()
}

void SharedPool::publish_python(const PublishedPython& python) {
  PythonView& view = header()->python;
  view.generation.store(0, std::memory_order_relaxed);
  // 0 before anything changes; pairs with the handler's second look at the number.
  std::atomic_thread_fence(std::memory_order_release);
  view.this_thread_state = python.this_thread_state;
  view.current_state = python.current_state;
  view.is_finalizing = python.is_finalizing;
  view.code_type = python.code_type;
  view.layout = python.layout;
  view.refusal.store(0, std::memory_order_relaxed);
  if (++python_generation_ == 0) ++python_generation_;
  view.generation.store(python_generation_, std::memory_order_release);  // pairs with the handler's acquire
}

void SharedPool::withdraw_python() {
  header()->python.generation.store(0, std::memory_order_release);  // pairs with the handler's acquire
}

std::vector<std::uint64_t> SharedPool::live_allocations() const {
  const auto* slots = reinterpret_cast<const LiveSlot*>(base_ + kLiveSlotsOffset);
  std::vector<std::uint64_t> ids;
  for (std::uint32_t i = 0; i < kLiveSlots; ++i) {
    // Acquire: pairs with follow(). What has a number now, and isn't here, was freed.
    if (const std::uint64_t id = slots[i].id.load(std::memory_order_acquire); id != 0) ids.push_back(id);
  }
  return ids;
}

InterpreterSums SharedPool::python_sums() const {
  constexpr std::memory_order kSum = std::memory_order_relaxed;
  const PythonSums& shown = header()->python_sums;
  InterpreterSums sums;
  sums.counted = shown.counted.load(kSum) != 0;
  for (std::uint32_t i = 0; i < kPythonGenerations; ++i) {
    const PythonCollections& one = shown.generations[i];
    sums.generations[i] = {one.count.load(kSum), one.collected.load(kSum), one.uncollectable.load(kSum),
                           one.pause_ns.load(kSum)};
  }
  sums.modules = shown.modules.load(kSum);
  sums.allocated_blocks = shown.allocated_blocks.load(kSum);
  return sums;
}

IoSums SharedPool::io_sums() const {
  const auto* banks = reinterpret_cast<const IoBank*>(base_ + kIoBanksOffset);
  IoSums sums{};
  for (std::uint32_t bank = 0; bank < kIoBanks; ++bank) {
    for (std::uint32_t i = 0; i < kIoCallCount; ++i) {
      const IoCell& cell = banks[bank].cells[i];
      sums[i].calls += cell.calls.load(std::memory_order_relaxed);
      sums[i].bytes += cell.bytes.load(std::memory_order_relaxed);
      sums[i].ns += cell.ns.load(std::memory_order_relaxed);
    }
  }
  return sums;
}

SharedCounters SharedPool::counters() const {
  SharedCounters out{};
  for (std::uint32_t i = 0; i < kCounterCount; ++i)
    out[i] = header()->counters[i].load(std::memory_order_relaxed);
  return out;
}

}  // namespace siprof::client
