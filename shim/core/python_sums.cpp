// SPDX-License-Identifier: Apache-2.0
#include "shim/core/python_sums.h"

#include "shim/core/process.h"

namespace siprof::shim {
namespace {

// Sums: of the time before an attach. Levels and `counted`: always, for the next attach.
constinit PythonSums g_early{};

SIPROF_SIGNAL_SAFE void move(std::atomic<std::uint64_t>& from, std::atomic<std::uint64_t>& to) {
  const std::uint64_t value = from.exchange(0, std::memory_order_relaxed);
  if (value != 0) to.fetch_add(value, std::memory_order_relaxed);
}

SIPROF_SIGNAL_SAFE void show_levels(PythonSums& shown) {
  constexpr std::memory_order kLevel = std::memory_order_relaxed;
  shown.modules.store(g_early.modules.load(kLevel), kLevel);
  shown.allocated_blocks.store(g_early.allocated_blocks.load(kLevel), kLevel);
  shown.counted.store(g_early.counted.load(kLevel), kLevel);
}

}  // namespace

void count_collections(bool on) {
  g_early.counted.store(on ? 1 : 0, std::memory_order_relaxed);
  std::uint64_t session = 0;
  if (SharedHeader* header = attached_header(&session)) show_levels(header->python_sums);
}

void add_collection(std::uint32_t generation, const PythonCollection& collection) {
  if (generation >= kPythonGenerations) return;
  std::uint64_t session = 0;
  SharedHeader* header = attached_header(&session);
  PythonCollections& sums = (header != nullptr ? header->python_sums : g_early).generations[generation];
  sums.count.fetch_add(collection.count, std::memory_order_relaxed);
  sums.collected.fetch_add(collection.collected, std::memory_order_relaxed);
  sums.uncollectable.fetch_add(collection.uncollectable, std::memory_order_relaxed);
  sums.pause_ns.fetch_add(collection.pause_ns, std::memory_order_relaxed);
}

void set_python_levels(std::uint64_t modules, std::uint64_t allocated_blocks) {
  g_early.modules.store(modules, std::memory_order_relaxed);
  g_early.allocated_blocks.store(allocated_blocks, std::memory_order_relaxed);
  std::uint64_t session = 0;
  if (SharedHeader* header = attached_header(&session)) show_levels(header->python_sums);
}

void move_early_python_sums(SharedHeader* header) {
  PythonSums& shown = header->python_sums;
  for (std::uint32_t i = 0; i < kPythonGenerations; ++i) {
    move(g_early.generations[i].count, shown.generations[i].count);
    move(g_early.generations[i].collected, shown.generations[i].collected);
    move(g_early.generations[i].uncollectable, shown.generations[i].uncollectable);
    move(g_early.generations[i].pause_ns, shown.generations[i].pause_ns);
  }
  show_levels(shown);
}

void forget_early_python_sums() {
  for (PythonCollections& sums : g_early.generations) {
    if (sums.count.load(std::memory_order_relaxed) == 0) continue;  // pages that nobody wrote to stay shared
    sums.count.store(0, std::memory_order_relaxed);
    sums.collected.store(0, std::memory_order_relaxed);
    sums.uncollectable.store(0, std::memory_order_relaxed);
    sums.pause_ns.store(0, std::memory_order_relaxed);
  }
}

}  // namespace siprof::shim
