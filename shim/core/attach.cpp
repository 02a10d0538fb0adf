// SPDX-License-Identifier: Apache-2.0
#include "shim/core/attach.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "shim/base/arch.h"
#include "shim/base/sys.h"
#include "shim/base/text.h"
#include "shim/core/attach_child.h"
#include "shim/core/child.h"
#include "shim/core/config.h"
#include "shim/core/io_bank.h"
#include "shim/core/middle.h"
#include "shim/core/process.h"
#include "shim/core/python_sums.h"
#include "shim/core/signal.h"
#include "shim/core/thread.h"
#include "shim/core/timer.h"
#include "shim/core/unmaps.h"

namespace siprof::shim {
namespace {

constexpr std::uint32_t kFailuresUntilOff = 9;
constexpr std::uint64_t kFirstRetryNs = 20'000'000;  // an agent that is just starting listens soon
constexpr std::uint32_t kDoublings = 8;
constexpr std::uint64_t kLongestRetryNs = 4'000'000'000;  // back within 5 s after an agent is

constinit std::atomic<std::uint64_t> g_attachments{0};
constinit std::int32_t g_middle_pid = 0;
// Under the attach lock: the heartbeat an attachment began with, and attachments in a
// row that kept it.
constinit std::uint64_t g_first_heartbeat = 0;
constinit std::uint32_t g_unanswered = 0;

// The attachment whose agent a reaper has waited for; relaxed, a hint.
constinit std::atomic<std::uint64_t> g_awaited{0};

// The page that tells a forked child that it is one.
SIPROF_SIGNAL_SAFE Session* session_page() {
  Session* page = g_process.session.load(std::memory_order_acquire);
  if (page != nullptr) return page;
  const long mapped = sys::map_private(4096);
  if (sys::failed(mapped)) return nullptr;
  // Without it (before Linux 4.14) a child made by a raw clone could not be told
  // from its parent: then rather no profile.
  if (sys::call(SYS_madvise, mapped, 4096, MADV_WIPEONFORK) != 0) return nullptr;
  page = reinterpret_cast<Session*>(mapped);
  g_process.session.store(page, std::memory_order_release);
  return page;
}

// After unshare(CLONE_NEWPID) or setns the next child is the new namespace's pid 1, and
// must be the app's: no other can be made there after it ends.
SIPROF_SIGNAL_SAFE bool children_are_elsewhere() {
  char own[64];
  char children[64];
  const long a = sys::call(SYS_readlinkat, AT_FDCWD, "/proc/thread-self/ns/pid", own, sizeof(own));
  const long b = sys::call(SYS_readlinkat, AT_FDCWD, "/proc/thread-self/ns/pid_for_children", children,
                           sizeof(children));
  // No /proc, or one of a namespace that we aren't in: no agent could look at this process.
  // ENOENT for the second one alone means that the new namespace has no pid 1 yet.
  if (a < 0) return true;
  if (a != b) return true;
  for (long i = 0; i < a; ++i) {
    if (own[i] != children[i]) return true;
  }
  return false;
}

// What this process wrote or dropped so far and no agent has put into a profile.
SIPROF_SIGNAL_SAFE std::uint64_t unsettled_ticks() {
  const SharedHeader* header = g_process.header.load(std::memory_order_acquire);
  const Session* page = g_process.session.load(std::memory_order_acquire);
  // A forked child has its parent's memory mapped, but a page of zeros: nothing there is its own.
  if (header == nullptr || page == nullptr || page->number.load(std::memory_order_relaxed) == 0) return 0;
  const auto counted = [header](Counter counter) {
    return header->counters[static_cast<std::uint32_t>(counter)].load(std::memory_order_relaxed);
  };
  const std::uint64_t seen =
      header->unsettled_ticks + counted(Counter::ticks) + counted(Counter::lost_pool_full);
  const std::uint64_t settled = header->settled_ticks.load(std::memory_order_relaxed);
  return seen > settled ? seen - settled : 0;
}

// A middle process that has lost its agent goes when there may be a new one. It was made
// since this process's last exec, so the app isn't told of its end.
SIPROF_SIGNAL_SAFE void end_idle_middle() {
  if (g_middle_pid == 0) return;
  const long ended = sys::call(SYS_wait4, g_middle_pid, nullptr, __WCLONE | WNOHANG, nullptr);
  if (ended == 0) {
    if (!middle_is_idle(g_middle_pid)) return;
    sys::call(SYS_kill, g_middle_pid, SIGKILL);
    sys::call(SYS_wait4, g_middle_pid, nullptr, __WCLONE, nullptr);
  }
  g_middle_pid = 0;
}

SIPROF_SIGNAL_SAFE AttachStep attach(std::uint64_t now_ns, std::uint64_t number, bool first_try_failed) {
  if (children_are_elsewhere()) return AttachStep::kAgent;
  const long stack = sys::map_private(kAttachStackBytes);
  if (sys::failed(stack)) return AttachStep::kMemory;
  auto* request = reinterpret_cast<AttachRequest*>(stack);
  request->now_ns = now_ns;
  request->session = number;
  request->mapping = g_process.header.load(std::memory_order_acquire);
  request->max_chunks = g_process.max_chunks;
  request->chunks = kInitialChunks;
  if (const auto* before = static_cast<const SharedHeader*>(request->mapping); before != nullptr) {
    const std::uint32_t chunks = before->chunk_count.load(std::memory_order_relaxed);
    if (chunks > kInitialChunks && chunks <= request->max_chunks) request->chunks = chunks;
  }
  request->unsettled_ticks = unsettled_ticks();
  const Session* page = g_process.session.load(std::memory_order_acquire);
  request->attached_before = page != nullptr && page->number.load(std::memory_order_relaxed) != 0;
  request->pid = static_cast<std::int32_t>(sys::call(SYS_getpid));
  int subreaper = 0;
  sys::call(SYS_prctl, PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0);
  request->stays_reaper = request->pid == 1 || subreaper != 0;
  // What starts the agent is its ancestor: below a reaper only that one may, or orphans
  // come to it that it never made.
  if (request->stays_reaper) g_process.below_reaper = true;
  request->may_start_agent = request->stays_reaper || !g_process.below_reaper;
  request->use_inherited_agent = g_process.has_secret && !first_try_failed;
  request->step = AttachStep::kMemory;
  end_idle_middle();

  const bool ran =
      run_in_child(run_attach_child, request, reinterpret_cast<char*>(stack) + kAttachStackBytes);
  const AttachStep step = ran ? request->step : AttachStep::kMemory;
  if (request->middle_pid != 0) g_middle_pid = request->middle_pid;
  if (step == AttachStep::kDone) {
    g_process.max_chunks = request->max_chunks;
    g_process.header.store(static_cast<SharedHeader*>(request->mapping), std::memory_order_release);
    arm_unknown(request->threads, request->thread_count);
  }
  sys::call(SYS_munmap, stack, kAttachStackBytes);
  return step;
}

SIPROF_SIGNAL_SAFE void move_early_counters(SharedHeader* header) {
  for (std::uint32_t i = 0; i < kCounterCount; ++i) {
    const std::uint64_t value = g_process.early[i].exchange(0, std::memory_order_relaxed);
    if (value != 0) header->counters[i].fetch_add(value, std::memory_order_relaxed);
  }
}

SIPROF_SIGNAL_SAFE void note_failure(AttachStep step, std::uint64_t now_ns) {
  // For the next agent to tell: whoever had the memory before is gone.
  g_process.early[static_cast<std::uint32_t>(Counter::attach_failures)].fetch_add(1,
                                                                                  std::memory_order_relaxed);
  const std::uint32_t failures = g_process.failures.fetch_add(1, std::memory_order_relaxed) + 1;
  // An agent that is away may come back; a kernel that refuses memory won't.
  if (step == AttachStep::kMemory && failures >= kFailuresUntilOff)
    g_process.off.store(1, std::memory_order_relaxed);
  std::uint64_t wait_ns = kFirstRetryNs << (failures <= kDoublings ? failures - 1 : kDoublings);
  if (wait_ns > kLongestRetryNs) wait_ns = kLongestRetryNs;
  g_process.next_attach_ns.store(now_ns + wait_ns, std::memory_order_relaxed);
}

// An agent that takes messages and never answers (it is stopped) holds what it is sent:
// it is asked ever more rarely. `last_heartbeat` is that of the attachment before.
SIPROF_SIGNAL_SAFE std::uint64_t pause_after_attach(std::uint64_t last_heartbeat) {
  const bool answered = last_heartbeat == 0 || last_heartbeat != g_first_heartbeat;
  g_unanswered = answered ? 0 : g_unanswered + 1;
  return kHeartbeatStaleNs << (g_unanswered < 5 ? g_unanswered : 5);
}

SIPROF_SIGNAL_SAFE bool is_due(SharedHeader* header, std::uint64_t now_ns) {
  if (header == nullptr) return true;
  const std::uint64_t heartbeat = header->heartbeat_ns.load(std::memory_order_relaxed);
  if (heartbeat < now_ns && now_ns - heartbeat > kHeartbeatStaleNs) return true;
  return (header->refresh_request.load(std::memory_order_relaxed) |
          header->scan_request.load(std::memory_order_relaxed)) != 0;
}

bool is_profiled() {
  return g_config.enabled && current_signal() != 0 && may_call() &&
         g_process.off.load(std::memory_order_relaxed) == 0;
}

}  // namespace

void attach_as_reaper() {
  if (!attach_now()) return;
  std::uint64_t session = 0;
  const SharedHeader* header = attached_header(&session);
  if (header == nullptr || g_awaited.exchange(session, std::memory_order_relaxed) == session) return;
  constexpr timespec kPause{0, 1'000'000};
  // Until its first heartbeat the header has one from the future, which is the grace it is given.
  for (int i = 0;
       i < 200 && header->heartbeat_ns.load(std::memory_order_relaxed) > sys::clock_ns(CLOCK_MONOTONIC); ++i)
    sys::call(SYS_nanosleep, &kPause, nullptr);
}

SharedHeader* attach_in_hook(std::uint64_t now_ns, std::uint64_t* session) {
  SharedHeader* header = attached_header(session);
  if (SIPROF_LIKELY(!is_due(header, now_ns))) return header;
  // Or every event until then would change the mask twice.
  if (now_ns < g_process.next_attach_ns.load(std::memory_order_relaxed)) return header;
  const sys::SignalSet all = ~sys::SignalSet{0};
  sys::SignalSet old = 0;
  if (may_call()) sys::change_mask(SIG_BLOCK, &all, &old);
  header = attach_if_due(now_ns, session);
  if (may_call()) sys::change_mask(SIG_SETMASK, &old, nullptr);
  return header;
}

bool attach_now() {
  if (!is_profiled()) return false;
  // The child of a vfork has its parent's thread storage.
  const std::int32_t known = this_thread().tid;
  if (known != 0 && known != sys::thread_id()) return false;
  const sys::SignalSet all = ~sys::SignalSet{0};
  sys::SignalSet old = 0;
  sys::change_mask(SIG_BLOCK, &all, &old);
  std::uint64_t session = 0;
  attach_if_due(sys::clock_ns(CLOCK_MONOTONIC), &session);
  sys::change_mask(SIG_SETMASK, &old, nullptr);
  return true;
}

void attach_before_fork() {
  if (!is_profiled()) return;
  int subreaper = 0;
  const bool is_init = sys::call(SYS_getpid) == 1;
  if (!is_init) sys::call(SYS_prctl, PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0);
  if (!is_init && subreaper == 0) return;
  g_process.below_reaper = true;
  attach_as_reaper();
}

SharedHeader* attach_if_due(std::uint64_t now_ns, std::uint64_t* session) {
  SharedHeader* header = attached_header(session);
  if (SIPROF_LIKELY(!is_due(header, now_ns))) return header;
  if (!may_call()) return header;
  if (g_process.off.load(std::memory_order_relaxed) != 0) return nullptr;
  if (now_ns < g_process.next_attach_ns.load(std::memory_order_relaxed)) return header;
  std::uint32_t free = 0;
  if (!g_process.attaching.compare_exchange_strong(free, 1, std::memory_order_acquire)) return header;
  // Under the lock: two threads that make a page each would number one and look at the other.
  Session* page = session_page();
  if (page == nullptr) {
    g_process.attaching.store(0, std::memory_order_release);
    return header;
  }

  const std::uint64_t number = g_attachments.fetch_add(1, std::memory_order_relaxed) + 1;
  const bool retry = g_process.failures.load(std::memory_order_relaxed) != 0;
  const std::uint64_t first_heartbeat =
      header == nullptr ? 0 : header->heartbeat_ns.load(std::memory_order_relaxed);
  const AttachStep step = attach(now_ns, number, retry);
  if (step == AttachStep::kDone) {
    header = g_process.header.load(std::memory_order_relaxed);
    page->number.store(number, std::memory_order_release);
    move_early_counters(header);
    move_early_io(header);
    move_early_python_sums(header);
    show_unmaps(header);
    g_process.failures.store(0, std::memory_order_relaxed);
    g_process.next_attach_ns.store(now_ns + pause_after_attach(first_heartbeat), std::memory_order_relaxed);
    g_first_heartbeat = header->heartbeat_ns.load(std::memory_order_relaxed);
    *session = number;
  } else {
    note_failure(step, now_ns);
  }
  g_process.attaching.store(0, std::memory_order_release);  // pairs with the acquire above
  return header;
}

}  // namespace siprof::shim
