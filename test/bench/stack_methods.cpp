// SPDX-License-Identifier: Apache-2.0
// Compiled with frame pointers, like all frames between it and a thread's start but for libc's two.
#include "test/bench/stack_methods.h"

#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <execinfo.h>
#include <libunwind.h>
#include <pthread.h>

#include "collector-client/unwind/module_map.h"
#include "test/bench/counted_walk.h"
#include "test/unit/collector-client/unwind/own_tables.h"
#include "test/unit/collector-client/unwind/self_capture.h"

namespace siprof::bench {
namespace {

struct Process {
  client::ModuleCache cache;
  client::ModuleMap map{cache, std::make_shared<client::testing::PlainOpener>()};
  std::unique_ptr<client::testing::OwnTables> tables;
  shim::CodeView view{};

  Process() {
    map.update(client::testing::own_maps());
    tables = std::make_unique<client::testing::OwnTables>(map);
    view = tables->view();
  }
};

Process& process() {
  static Process all;
  return all;
}

shim::CodeView g_view{};
thread_local std::uint64_t t_stack_high = 0;

}  // namespace

void prepare_this_thread() {
  g_view = process().view;
  pthread_attr_t attributes;
  void* low = nullptr;
  std::size_t bytes = 0;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &low, &bytes);
  pthread_attr_destroy(&attributes);
  t_stack_high = reinterpret_cast<std::uint64_t>(low) + bytes;
}

// The walk starts where it is called.
template <auto kWalk>
__attribute__((always_inline)) inline std::size_t walk_from_here(std::uint64_t* addresses) {
  shim::WalkRegisters here{};
  asm volatile("lea 0(%%rip), %0\n\tmov %%rsp, %1\n\tmov %%rbp, %2"
               : "=&r"(here.ip), "=&r"(here.sp), "=&r"(here.fp));
  const shim::StackBounds bounds{here.sp, t_stack_high};
  const shim::WalkResult result = kWalk(g_view, here, bounds, bounds, addresses, kMostFrames);
  return result.end == shim::WalkEnd::kComplete ? result.frames : 0;
}
__attribute__((noinline)) std::size_t walk_by_tables(std::uint64_t* addresses) {
  return walk_from_here<shim::walk_stack>(addresses);
}
__attribute__((noinline)) std::size_t walk_by_counted_tables(std::uint64_t* addresses) {
  return walk_from_here<shim::counted_walk_stack>(addresses);
}

__attribute__((noinline)) std::size_t walk_by_frame_pointers(std::uint64_t* addresses) {
  auto frame = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
  std::uint64_t low = frame;
  std::size_t frames = 0;
  addresses[frames++] = reinterpret_cast<std::uint64_t>(&walk_by_frame_pointers);
  while (frames < kMostFrames && frame % 8 == 0 && frame >= low && frame < t_stack_high - 16) {
    const auto* words = reinterpret_cast<const std::uint64_t*>(frame);
    addresses[frames++] = words[1] - 1;
    low = frame + 16;
    frame = words[0];
  }
  return frames;
}

__attribute__((noinline)) std::size_t walk_by_unw_step(std::uint64_t* addresses) {
  unw_context_t context;
  unw_cursor_t cursor;
  unw_getcontext(&context);
  if (unw_init_local(&cursor, &context) != 0) return 0;
  std::size_t frames = 0;
  do {
    unw_word_t ip = 0;
    unw_get_reg(&cursor, UNW_REG_IP, &ip);
    addresses[frames++] = ip - 1;
  } while (frames < kMostFrames && unw_step(&cursor) > 0);
  return frames;
}

__attribute__((noinline)) std::size_t walk_by_unw_backtrace(std::uint64_t* addresses) {
  const int frames = unw_backtrace(reinterpret_cast<void**>(addresses), kMostFrames);
  asm volatile("");  // no jump: this frame counts
  return static_cast<std::size_t>(frames);
}

// By name it would be libunwind's, which has one as well.
__attribute__((noinline)) std::size_t walk_by_glibc_backtrace(std::uint64_t* addresses) {
  static const auto libc_backtrace = reinterpret_cast<decltype(&backtrace)>(
      dlsym(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), "backtrace"));
  const int frames = libc_backtrace(reinterpret_cast<void**>(addresses), kMostFrames);
  asm volatile("");
  return static_cast<std::size_t>(frames);
}

WalkMemory memory_of_tables_walk(std::uint64_t sp) {
  const auto bytes_at = [](const void* start, std::size_t bytes) {
    return std::span(static_cast<const std::byte*>(start), bytes);
  };
  // The walker is less than this, and what it calls lies just before it.
  constexpr std::size_t kCodeBytes = 4096;
  auto code = reinterpret_cast<std::uint64_t>(&shim::walk_stack) - kCodeBytes;
  asm("" : "+r"(code));  // not a place that the compiler thinks it knows the size of
  return {bytes_at(g_view.arena, g_view.arena_bytes),
          bytes_at(g_view.ranges, g_view.range_count * sizeof(CodeRange)),
          bytes_at(g_view.rule_cache, shim::kRuleCacheSize * sizeof(std::uint64_t)),
          bytes_at(&g_view, sizeof g_view),
          bytes_at(reinterpret_cast<const void*>(code), 2 * kCodeBytes),
          bytes_at(reinterpret_cast<const void*>(sp), t_stack_high - sp)};
}

}  // namespace siprof::bench
