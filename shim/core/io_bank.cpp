// SPDX-License-Identifier: Apache-2.0
#include "shim/core/io_bank.h"

namespace siprof::shim {
namespace {

// Before the attach; relaxed sums, emptied by exchange.
constinit IoCell g_early[kIoCallCount]{};

void add_shared(IoCell& cell, const IoAmount& amount) {
  cell.calls.fetch_add(amount.calls, std::memory_order_relaxed);
  cell.bytes.fetch_add(amount.bytes, std::memory_order_relaxed);
  cell.ns.fetch_add(amount.ns, std::memory_order_relaxed);
}

std::uint64_t owner_word(const ThreadState& thread) {
  return std::uint64_t{thread.serial} << 32 | static_cast<std::uint32_t>(thread.tid);
}

// Index of a bank for the thread.
std::uint32_t claim(SharedHeader* header, const ThreadState& thread) {
  IoBank* banks = io_banks(header);
  for (std::uint32_t i = 0; i < kSharedIoBank; ++i) {
    const std::uint32_t index = (thread.serial + i) % kSharedIoBank;
    std::uint64_t free = 0;
    if (banks[index].owner.load(std::memory_order_relaxed) != 0) continue;
    if (banks[index].owner.compare_exchange_strong(free, owner_word(thread), std::memory_order_acquire))
      return index;
  }
  return kSharedIoBank;
}

}  // namespace

__attribute__((noinline)) void add_io_slowly(SharedHeader* header, std::uint64_t session, ThreadState& thread,
                                             IoCall call, const IoAmount& amount) {
  const auto id = static_cast<std::uint32_t>(call);
  if (header == nullptr) {
    add_shared(g_early[id], amount);
    return;
  }
  // One that is ending would never give it back, nor one that libc has made for itself (SIGEV_THREAD); one
  // that we haven't met has no name to claim it by.
  const bool may_own = thread.tid != 0 && thread.end_is_seen && thread.busy_sp != kBusyForGood;
  if (may_own && thread.io_bank != io_bank_word(session, kSharedIoBank)) {
    // The old word stays until the claim is done: a handler that comes in between claims one, too, and the
    // later claim stands. Such a bank is lost to others until the process ends.
    thread.io_bank = io_bank_word(session, claim(header, thread));
  }
  const std::uint32_t index = may_own ? thread.io_bank - io_bank_word(session, 0) : kSharedIoBank;
  add_shared(io_banks(header)[index].cells[id], amount);
}

void release_io_bank(ThreadState& thread) {
  std::uint64_t session = 0;
  SharedHeader* header = attached_header(&session);
  const std::uint32_t index = thread.io_bank - io_bank_word(session, 0);
  thread.io_bank = 0;
  if (header == nullptr || index >= kSharedIoBank) return;
  std::uint64_t own = owner_word(thread);
  io_banks(header)[index].owner.compare_exchange_strong(own, 0, std::memory_order_release,
                                                        std::memory_order_relaxed);
}

void move_early_io(SharedHeader* header) {
  IoCell* cells = io_banks(header)[kSharedIoBank].cells;
  const auto move = [](std::atomic<std::uint64_t>& from, std::atomic<std::uint64_t>& to) {
    if (from.load(std::memory_order_relaxed) == 0) return;
    to.fetch_add(from.exchange(0, std::memory_order_relaxed), std::memory_order_relaxed);
  };
  for (std::uint32_t i = 0; i < kIoCallCount; ++i) {
    move(g_early[i].calls, cells[i].calls);
    move(g_early[i].bytes, cells[i].bytes);
    move(g_early[i].ns, cells[i].ns);
  }
}

void forget_early_io() {
  for (IoCell& cell : g_early) {
    if (cell.calls.load(std::memory_order_relaxed) == 0) continue;  // pages that nobody wrote to stay shared
    cell.calls.store(0, std::memory_order_relaxed);
    cell.bytes.store(0, std::memory_order_relaxed);
    cell.ns.store(0, std::memory_order_relaxed);
  }
}

}  // namespace siprof::shim
