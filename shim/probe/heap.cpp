// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/heap.h"

#include "shim/core/hook.h"
#include "shim/probe/live_heap.h"

namespace siprof::shim {
namespace {

// Over all attachments and forks, so that none is met twice.
constinit std::atomic<std::uint64_t> g_last_id{0};

}  // namespace

// Not inlined: the hook's frame must stand until its end.
__attribute__((noinline)) void record(const void* block, std::uint64_t bytes, std::uint64_t interval) {
  if (block == nullptr) return;
  Hook hook(EventKind::kHeap);
  if (!hook.on()) return;
  const std::uint64_t id = g_last_id.fetch_add(1, std::memory_order_relaxed) + 1;
  // Before the record: the agent takes a number that it can't find there for freed.
  const bool is_followed = follow(hook.header(), hook.session(), block, id);
  const bool written = hook.emit({EventKind::kHeap, 0, {id, bytes, interval, is_followed ? 1u : 0u}});
  if (!written && is_followed) unfollow(block);
}

}  // namespace siprof::shim
