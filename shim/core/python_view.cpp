// SPDX-License-Identifier: Apache-2.0
#include "shim/core/python_view.h"

#include "shim/base/sys.h"
#include "shim/base/text.h"
#include "shim/core/process.h"
#include "shim/core/python_check.h"
#include "shim/core/unmaps.h"

namespace siprof::shim {

SIPROF_EARLY constinit std::atomic<std::uint32_t> g_python_news{0};

namespace {

// Different ones in the life of a process: libraries that are closed and opened again elsewhere.
constexpr std::uint32_t kMostInterpreters = 16;
constinit Interpreter g_interpreters[kMostInterpreters]{};
constinit std::uint32_t g_count = 0;  // under g_following

// What was last taken over. `edition` counts up; `interpreter` null: refused. Two in turn, so that a reader
// has a whole one: a third change while one reads is seen by `number`.
struct Followed {
  std::atomic<std::uint64_t> session;
  std::atomic<std::uint32_t> generation;
  std::atomic<std::uint32_t> edition;
  std::atomic<const Interpreter*> interpreter;
};
constinit Followed g_followed[2]{};
constinit std::atomic<std::uint32_t> g_number{0};     // of g_followed; release; acquire
constinit std::atomic<std::uint32_t> g_following{0};  // a try-lock; acquire/release
constinit std::atomic<BookEntry*> g_book{nullptr};    // written once, release; acquire
constexpr std::uint32_t kEditions = 1u << 22;

// What the parent had at the fork, and its number of unmappings then; null: nothing. Written by the only
// thread of a child.
constinit const Interpreter* g_inherited = nullptr;
constinit std::uint32_t g_inherited_unmaps = 0;

SIPROF_SIGNAL_SAFE bool map_book() {
  if (g_book.load(std::memory_order_relaxed) != nullptr) return true;
  if (!may_call()) return false;
  const long mapped = sys::map_aside(kBookEntries * sizeof(BookEntry));
  if (sys::failed(mapped)) return false;
  g_book.store(reinterpret_cast<BookEntry*>(mapped), std::memory_order_release);
  return true;
}

// False: it is being written, or was meanwhile.
SIPROF_SIGNAL_SAFE bool copy_view(const PythonView& view, std::uint32_t generation, Interpreter* to) {
  to->this_thread_state = view.this_thread_state;
  to->current_state = view.current_state;
  to->is_finalizing = view.is_finalizing;
  to->code_type = view.code_type;
  copy_bytes(&to->layout, &view.layout, sizeof(to->layout));
  std::atomic_thread_fence(std::memory_order_acquire);
  return view.generation.load(std::memory_order_relaxed) == generation;
}

// The one that is known already, or a new one; null: there were too many. Under g_following.
SIPROF_SIGNAL_SAFE const Interpreter* keep(const Interpreter& seen) {
  for (std::uint32_t i = 0; i < g_count; ++i) {
    if (same_bytes(&g_interpreters[i], &seen, sizeof(seen))) return &g_interpreters[i];
  }
  if (g_count == kMostInterpreters) return nullptr;
  copy_bytes(&g_interpreters[g_count], &seen, sizeof(seen));
  return &g_interpreters[g_count++];
}

// Under g_following.
SIPROF_SIGNAL_SAFE void publish(std::uint64_t session, std::uint32_t generation,
                                const Interpreter* interpreter) {
  const std::uint32_t number = g_number.load(std::memory_order_relaxed) + 1;
  Followed& next = g_followed[number % 2];
  std::atomic_thread_fence(std::memory_order_release);
  next.session.store(session, std::memory_order_relaxed);
  next.generation.store(generation, std::memory_order_relaxed);
  next.edition.store(number % kEditions, std::memory_order_relaxed);
  next.interpreter.store(interpreter, std::memory_order_relaxed);
  g_number.store(number, std::memory_order_release);
}

SIPROF_SIGNAL_SAFE void take_over(SharedHeader* header, std::uint64_t session, std::uint32_t generation) {
  Interpreter seen;
  zero_bytes(&seen, sizeof(seen));  // compared as bytes
  if (!map_book() || !copy_view(header->python, generation, &seen)) return;
  PythonRefusal refusal = check_code_type(seen.layout, seen.code_type);
  if (seen.this_thread_state == 0) refusal = PythonRefusal::kUnreadable;
  const Interpreter* interpreter = refusal == PythonRefusal::kNone ? keep(seen) : nullptr;
  publish(session, generation, interpreter);
  g_python_news.store(1, std::memory_order_relaxed);  // it may have been opened since it was looked for
  show_refusal(header, refusal);
}

// False: another one is to be taken over first.
SIPROF_SIGNAL_SAFE bool read_followed(std::uint64_t session, std::uint32_t generation, PythonAccess* access) {
  const std::uint32_t number = g_number.load(std::memory_order_acquire);
  const Followed& followed = g_followed[number % 2];
  const bool same = followed.session.load(std::memory_order_relaxed) == session &&
                    followed.generation.load(std::memory_order_relaxed) == generation;
  access->interpreter = followed.interpreter.load(std::memory_order_relaxed);
  access->edition = followed.edition.load(std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_acquire);
  return same && g_number.load(std::memory_order_relaxed) == number;
}

}  // namespace

bool knows_python(const SharedHeader* header, std::uint64_t session, PythonAccess* access) {
  // Pairs with the agent's release after the rest of the view.
  const std::uint32_t generation = header->python.generation.load(std::memory_order_acquire);
  if (!read_followed(session, generation, access)) return false;
  access->book = PythonBook(g_book.load(std::memory_order_acquire));
  return true;
}

bool follow_python(SharedHeader* header, std::uint64_t session, PythonAccess* access) {
  std::uint32_t free = 0;
  if (!g_following.compare_exchange_strong(free, 1, std::memory_order_acquire)) return false;
  const std::uint32_t generation = header->python.generation.load(std::memory_order_acquire);
  if (generation != 0 && !knows_python(header, session, access)) take_over(header, session, generation);
  g_following.store(0, std::memory_order_release);  // pairs with the acquire above
  return generation != 0 && knows_python(header, session, access);
}

void show_refusal(SharedHeader* header, PythonRefusal refusal) {
  header->python.refusal.store(static_cast<std::uint32_t>(refusal), std::memory_order_relaxed);
}

bool python_is_mapped(const SharedHeader* header) {
  const std::uint32_t unmaps = unmap_generation();
  return unmaps != kUnmapping && header->python.unmap_generation.load(std::memory_order_acquire) == unmaps;
}

void inherit_python() {
  g_following.store(0, std::memory_order_relaxed);
  const std::uint32_t unmaps = unmap_generation();
  if (g_inherited != nullptr && g_inherited_unmaps == unmaps) return;  // its own agent hasn't looked yet
  const SharedHeader* header = g_process.header.load(std::memory_order_relaxed);
  // Of a child that has no memory of its own it is still the parent's, which goes on changing.
  const bool is_parents = header != nullptr && header->app_pid == g_process.pid;
  PythonAccess access;
  const bool known = is_parents && shows_python(header) && knows_python(header, header->session, &access) &&
                     python_is_mapped(header);
  g_inherited = known ? access.interpreter : nullptr;
  g_inherited_unmaps = unmaps;
}

void show_inherited_python(SharedHeader* header) {
  if (g_inherited == nullptr || unmap_generation() != g_inherited_unmaps) return;
  PythonView& view = header->python;
  view.this_thread_state = g_inherited->this_thread_state;
  view.current_state = g_inherited->current_state;
  view.is_finalizing = g_inherited->is_finalizing;
  view.code_type = g_inherited->code_type;
  copy_bytes(&view.layout, &g_inherited->layout, sizeof(view.layout));
  view.unmap_generation.store(g_inherited_unmaps, std::memory_order_relaxed);
  view.generation.store(kInheritedPython, std::memory_order_relaxed);  // nobody sees it before it is sent
}

}  // namespace siprof::shim
