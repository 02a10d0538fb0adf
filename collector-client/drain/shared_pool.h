// SPDX-License-Identifier: Apache-2.0
// The agent's mapping of a process's shared memory: checks it once, reads its
// counters, and writes the few words that control the process.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/siprof/rates.h"
#include "proto/siprof/shared_memory.h"

namespace siprof::client {

// Of one kind of call, in all threads since the process attached.
struct IoSum {
  std::uint64_t calls = 0;
  std::uint64_t bytes = 0;
  std::uint64_t ns = 0;
};

// Of an interpreter, since the process attached; nothing is counted if `counted` is false. Levels: 0: not
// known.
struct InterpreterSums {
  struct Generation {
    std::uint64_t collections = 0;
    std::uint64_t collected = 0;
    std::uint64_t uncollectable = 0;
    std::uint64_t pause_ns = 0;
  };
  bool counted = false;
  std::array<Generation, kPythonGenerations> generations;
  std::uint64_t modules = 0;
  std::uint64_t allocated_blocks = 0;
};

using IoSums = std::array<IoSum, kIoCallCount>;  // by IoCall
using SharedCounters = std::array<std::uint64_t, kCounterCount>;

class SharedPool {
 public:
  // Keeps no reference to `memory_fd`, except for growing (a duplicate).
  // Errors: INVALID_ARGUMENT: not sealed against shrinking, too small, another version.
  static absl::StatusOr<std::unique_ptr<SharedPool>> map(int memory_fd);
  ~SharedPool();
  SharedPool(const SharedPool&) = delete;
  SharedPool& operator=(const SharedPool&) = delete;

  std::byte* chunks() const { return base_ + kSharedHeaderBytes; }
  std::uint32_t chunk_count() const { return chunk_count_; }
  std::uint32_t max_chunks() const { return max_chunks_; }

  // Doubles the pool, up to what the process has reserved. False: it can't grow.
  bool grow();

  void beat(std::uint64_t monotonic_ns) {
    header()->heartbeat_ns.store(monotonic_ns, std::memory_order_relaxed);
  }
  // How the process reads its CPU's time stamp counter; 0: not.
  void set_tick_scale(std::uint64_t scale) { header()->tick_scale.store(scale, std::memory_order_relaxed); }
  // In force in each thread at its next tick.
  void control(const Rates& rates);
  // The process attaches anew at its next tick, with a new list of mappings.
  void request_refresh() { header()->refresh_request.store(1, std::memory_order_relaxed); }
  void request_scan() { header()->scan_request.store(1, std::memory_order_relaxed); }
  // As many of this memory's ticks are in finished profiles: they survive us.
  void settle(std::uint64_t ticks) { header()->settled_ticks.store(ticks, std::memory_order_relaxed); }
  // What the process says that an agent before us has not settled.
  std::uint64_t unsettled_ticks() const { return header()->unsettled_ticks; }
  void count_lost_agent(std::uint64_t ticks);

  // As the process's function of that name says it: kUnmapping while code is being unmapped.
  std::uint32_t unmap_generation() const {
    // Pair with the process's stores. If they are equal then nothing was under way in between.
    const std::uint32_t ended = header()->unmaps_ended.load(std::memory_order_acquire);
    return header()->unmaps_begun.load(std::memory_order_acquire) == ended ? ended : kUnmapping;
  }
  // Of the mappings that came with the memory.
  std::uint32_t maps_generation() const { return header()->maps_generation; }
  // What the process's handlers walk with from now on; the first kMaxCodeRanges of the ranges.
  struct PublishedCode {
    std::uint32_t unmap_generation;
    std::uint64_t arena_id;
    std::uint64_t arena_bytes;
    std::string_view arena_path;
  };
  void publish(const PublishedCode& code, std::span<const CodeRange> ranges);
  // Where the process's interpreter is, in its own addresses, and how its structures are laid out. Each time
  // the process forgets what it has told of its code, and tells it anew.
  struct PublishedPython {
    PythonLayout layout;
    std::uint64_t this_thread_state;
    std::uint64_t current_state;
    std::uint64_t is_finalizing;
    std::uint64_t code_type;
  };
  void publish_python(const PublishedPython& python);
  void withdraw_python();
  // As of these unmappings it is there, if one is published.
  void set_python_unmaps(std::uint32_t unmap_generation) {
    // Pairs with the acquire in the handler.
    header()->python.unmap_generation.store(unmap_generation, std::memory_order_release);
  }
  // What the process says of it; hostile memory, any number.
  PythonRefusal python_refusal() const {
    return static_cast<PythonRefusal>(header()->python.refusal.load(std::memory_order_relaxed));
  }
  SharedCounters counters() const;
  IoSums io_sums() const;
  InterpreterSums python_sums() const;

  // Numbers of sampled allocations that aren't freed yet, as the process has them at this moment; unsorted.
  std::vector<std::uint64_t> live_allocations() const;

 private:
  SharedPool(int fd, std::byte* base, std::uint32_t chunk_count, std::uint32_t max_chunks)
      : fd_(fd), base_(base), chunk_count_(chunk_count), max_chunks_(max_chunks) {}
  SharedHeader* header() const { return reinterpret_cast<SharedHeader*>(base_); }

  int fd_;
  std::byte* base_;
  std::uint64_t announced_bytes_ = 0;    // of the arena, to the process
  std::uint32_t python_generation_ = 0;  // the last one that was published
  std::uint32_t chunk_count_;            // ours; the shared one is hostile
  std::uint32_t max_chunks_;
};

}  // namespace siprof::client
