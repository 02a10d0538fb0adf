// SPDX-License-Identifier: Apache-2.0
#include "shim/core/hook.h"

#include <signal.h>

#include "shim/base/arch.h"
#include "shim/core/attach.h"
#include "shim/core/config.h"
#include "shim/core/own_cost.h"
#include "shim/core/stopwatch.h"

namespace siprof::shim {

constinit std::atomic<std::uint64_t> g_tick_scale{0};

namespace {

// A program that ends at once isn't worth an attach: its first allocations and waits go unseen. Errors are
// rare, and none of them may be missing.
constexpr std::uint64_t kTooYoungNs = 2'000'000;

// A thread made without libc may share the storage of its creator, the child of a vfork does.
bool owns_storage(const ThreadState& thread) {
  return !may_call() || thread.tid == sys::thread_id();
}

}  // namespace

bool Hook::prepare(EventKind kind) {
  if (!g_config.enabled || g_process.off.load(std::memory_order_relaxed) != 0) return false;
  if (thread_.tid == 0 && may_call()) meet_unknown_thread(thread_, sys::thread_id());
  if (!owns_storage(thread_)) {
    count(Counter::lost_shared_tls);
    return false;
  }
  now_ns_ = monotonic_ns();
  header_ = attached_header(&session_);
  if (header_ == nullptr && kind != EventKind::kError && now_ns_ - g_config.start_ns < kTooYoungNs) {
    count(Counter::lost_events_unattached);
    return false;
  }
  header_ = attach_in_hook(now_ns_, &session_);
  if (header_ == nullptr) {
    count(Counter::lost_events_unattached);
    return false;
  }
  return (header_->kinds.load(std::memory_order_relaxed) & kind_bit(kind)) != 0;
}

// Not inlined: the context is that of this function, which the agent knows for one of ours.
__attribute__((noinline)) bool Hook::emit(Event event) {
  const OwnCost cost(thread_, Counter::hook_ns);
  if (event.time_ns == 0) event.time_ns = now_ns_;
  HereContext context;
  context.stack.ss_flags = SS_DISABLE;
  note_registers(&context);
  return capture(header_, session_, thread_, event, context.as_context());
}

}  // namespace siprof::shim
