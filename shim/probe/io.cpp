// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/io.h"

#include "shim/core/hook.h"
#include "shim/probe/io_target.h"

namespace siprof::shim {

constinit BlockScale g_block_scale{};

namespace {

// The factor first: who sees the interval has it.
void learn_interval(std::uint64_t interval_ns) {
  if (interval_ns == g_block_scale.interval_ns.load(std::memory_order_relaxed)) return;
  g_block_scale.interval_ns.store(0, std::memory_order_release);
  g_block_scale.units.store(
      static_cast<std::uint64_t>((static_cast<unsigned __int128>(kBlockUnits) << 32) / interval_ns),
      std::memory_order_release);
  g_block_scale.interval_ns.store(interval_ns, std::memory_order_release);
}

__attribute__((noinline)) void take_stack(IoCall call, int fd, std::uint64_t waited_ns,
                                          std::uint64_t interval_ns, std::uint64_t bytes) {
  Hook hook(EventKind::kIo);
  if (!hook.on()) return;
  // A filter of the app's may forbid to look.
  const IoTarget target = may_call() ? describe_descriptor(fd) : IoTarget{};
  Event event{EventKind::kIo, 0, {waited_ns, interval_ns, bytes, static_cast<std::uint64_t>(call)}};
  event.extra = &target;
  event.extra_bytes = sizeof(target);
  hook.emit(event);
}

}  // namespace

__attribute__((noinline)) void settle_io(IoCall call, int fd, std::uint64_t waited_ns, std::uint64_t bytes) {
  ThreadState& thread = this_thread();
  learn_interval(block_interval_ns());
  const BlockDraw draw = draw_block(thread);
  const BlockChoice choice = settle_block(thread, draw, waited_ns);
  if (choice.chosen) take_stack(call, fd, waited_ns, choice.interval_ns, bytes);
  asm volatile("");  // not a tail call: the frame belongs to the stack
}

}  // namespace siprof::shim
