// SPDX-License-Identifier: Apache-2.0
// Wrappers of thread creation: the new thread arms its own timer, then goes on to
// the app's function by a tail call, so that no frame of ours is on its stack.
#include "shim/core/process.h"
#include "shim/core/signal.h"
#include "shim/core/thread_start.h"
#include "shim/real.h"

namespace siprof::shim {
namespace {

// Where a thread's function and argument wait for it: no heap of the app is touched.
void* start_pthread(void* record) {
  const ThreadStart start = take_thread_start(record);
  begin_thread(start);
  return reinterpret_cast<void* (*)(void*)>(start.function)(start.argument);
}

int start_thrd(void* record) {
  const ThreadStart start = take_thread_start(record);
  begin_thread(start);
  return reinterpret_cast<int (*)(void*)>(start.function)(start.argument);
}

// Not by their own names: those have newer default versions than we may need.
constexpr char kAttrInit[] = "pthread_attr_init";
constexpr char kAttrDestroy[] = "pthread_attr_destroy";
constexpr char kAttrGetStackSize[] = "pthread_attr_getstacksize";
constinit Next<int(pthread_attr_t*), kAttrInit> g_attr_init;
constinit Next<int(pthread_attr_t*), kAttrDestroy> g_attr_destroy;
constinit Next<int(const pthread_attr_t*, std::size_t*), kAttrGetStackSize> g_attr_get_stack_size;

std::uint64_t stack_bytes_of(const pthread_attr_t* attributes) {
  std::size_t bytes = 0;
  if (attributes != nullptr) return g_attr_get_stack_size(attributes, &bytes) == 0 ? bytes : 0;
  // A fresh attribute object answers with the process's default.
  pthread_attr_t fresh;
  if (g_attr_init(&fresh) != 0) return 0;
  if (g_attr_get_stack_size(&fresh, &bytes) != 0) bytes = 0;
  g_attr_destroy(&fresh);
  return bytes;
}

sys::SignalSet view_here() {
  sys::SignalSet kernel = 0;
  sys::change_mask(SIG_BLOCK, nullptr, &kernel);
  return view_with(this_thread(), kernel);
}

ThreadStart make_start(void* function, void* argument, const pthread_attr_t* attributes) {
  return {function, argument, stack_bytes_of(attributes), view_here()};
}

}  // namespace
}  // namespace siprof::shim

using namespace siprof;
using namespace siprof::shim;

int siprof_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*function)(void*),
                          void* argument) {
  if (!profiling_threads()) return real::pthread_create(thread, attributes, function, argument);
  void* record = keep_thread_start(make_start(reinterpret_cast<void*>(function), argument, attributes));
  if (record == nullptr) return real::pthread_create(thread, attributes, function, argument);
  const int result = real::pthread_create(thread, attributes, start_pthread, record);
  if (result != 0) take_thread_start(record);
  return result;
}

int siprof_thrd_create(thrd_t* thread, thrd_start_t function, void* argument) {
  if (!profiling_threads()) return real::thrd_create(thread, function, argument);
  void* record = keep_thread_start(make_start(reinterpret_cast<void*>(function), argument, nullptr));
  if (record == nullptr) return real::thrd_create(thread, function, argument);
  const int result = real::thrd_create(thread, start_thrd, record);
  if (result != thrd_success) take_thread_start(record);
  return result;
}
