// SPDX-License-Identifier: Apache-2.0
#include "shim/core/thread_start.h"

#include <pthread.h>
#include <sys/mman.h>

#include <atomic>

#include "shim/base/next.h"
#include "shim/core/config.h"
#include "shim/core/io_bank.h"
#include "shim/core/process.h"
#include "shim/core/ring_writer.h"
#include "shim/core/signal.h"
#include "shim/core/thread.h"
#include "shim/core/timer.h"

namespace siprof::shim {
namespace {

struct StartRecord {
  std::atomic<std::uint32_t> used;  // acquire/release: whoever frees it has read it
  ThreadStart start;
};

// Threads that were created and have not begun: few, ever.
constexpr int kRecords = 64;
constinit StartRecord g_records[kRecords]{};

bool is_pooled(const void* record) {
  return record >= g_records && record < g_records + kRecords;
}

// Not libc's own names: their default versions are newer than what we may need.
constinit std::atomic<std::int64_t> g_key{-1};

constexpr char kCreateKey[] = "pthread_key_create";
constexpr char kSetSpecific[] = "pthread_setspecific";
constinit Next<int(pthread_key_t*, void (*)(void*)), kCreateKey> g_create_key;
constinit Next<int(pthread_key_t, const void*), kSetSpecific> g_set_specific;

int set_specific(std::uint32_t value) {
  return g_set_specific(static_cast<pthread_key_t>(g_key.load(std::memory_order_relaxed)),
                        reinterpret_cast<const void*>(static_cast<std::uint64_t>(value)));
}

// PTHREAD_DESTRUCTOR_ITERATIONS of glibc and musl, which not every compiler's freestanding <limits.h> has.
constexpr std::uint32_t kDestructorRounds = 4;

// Runs in every round of destructors and acts in the last one, so that the app's own
// destructors are still sampled.
void end_thread(void* value) {
  const auto round = static_cast<std::uint32_t>(reinterpret_cast<std::uint64_t>(value));
  if (round < kDestructorRounds && set_specific(round + 1) == 0) return;
  ThreadState& thread = this_thread();
  disarm_slot(thread.timer_slot);
  thread.timer_slot = 0;
  thread.busy_sp = kBusyForGood;
  release_io_bank(thread);
  std::uint64_t session = 0;
  if (SharedHeader* header = attached_header(&session)) RingWriter(header, session, thread).seal();
}

bool has_key() {
  if (g_key.load(std::memory_order_acquire) >= 0) return true;
  pthread_key_t key = 0;
  if (g_create_key.get() == nullptr || g_set_specific.get() == nullptr || g_create_key(&key, end_thread) != 0)
    return false;
  std::int64_t none = -1;
  // A loser's key stays unused: creation is raced at most once in a process's life.
  g_key.compare_exchange_strong(none, static_cast<std::int64_t>(key), std::memory_order_acq_rel);
  return true;
}

}  // namespace

bool profiling_threads() {
  return g_config.enabled && g_process.off.load(std::memory_order_relaxed) == 0 && current_signal() != 0 &&
         may_call() && is_own_process();
}

void* keep_thread_start(const ThreadStart& start) {
  for (StartRecord& record : g_records) {
    std::uint32_t free = 0;
    if (record.used.load(std::memory_order_relaxed) != 0) continue;
    if (!record.used.compare_exchange_strong(free, 1, std::memory_order_acquire)) continue;
    record.start = start;
    return &record;
  }
  const long page =
      sys::call(SYS_mmap, nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page < 0 && page > -4096) return nullptr;
  auto* record = reinterpret_cast<StartRecord*>(page);
  record->start = start;
  return record;
}

ThreadStart take_thread_start(void* pointer) {
  auto* record = static_cast<StartRecord*>(pointer);
  const ThreadStart start = record->start;
  if (is_pooled(record)) {
    record->used.store(0, std::memory_order_release);  // pairs with the acquire in keep_thread_start
  } else {
    sys::call(SYS_munmap, record, 4096);
  }
  return start;
}

void begin_thread(const ThreadStart& start) {
  ThreadState& thread = this_thread();
  thread.blocked_view = start.blocked_view;
  if (!may_call()) return;  // its creator has not known yet
  thread.busy_sp = kBusyForGood;
  meet_thread(start.stack_bytes);
  open_signal_in_this_thread();
  reap_some_timers();
  // Without the end's notice the timer would outlive the thread until it is reaped.
  thread.end_is_seen = has_key() && set_specific(1) == 0;
  arm_this_thread();
  thread.busy_sp = 0;
}

}  // namespace siprof::shim
