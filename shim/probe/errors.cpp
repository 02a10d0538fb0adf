// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/errors.h"

#include <time.h>

#include "shim/base/text.h"
#include "shim/core/hook.h"
#include "shim/probe/error_message.h"
#include "shim/probe/error_pace.h"

namespace siprof::shim {
namespace {

// Not in the threads' own storage, which is small. A throw takes a microsecond: a line of memory more is
// nothing, and it is bounded for any number of threads.
constexpr std::uint32_t kPaces = 64;
constinit ErrorPace g_paces[kPaces];

std::uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);  // vDSO: no system call, no errno
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// std::type_info begins with its virtual table and the name, by all C++ runtimes of this ABI. A name that
// starts with '*' is compared by its address; the rest of it is the name.
const char* type_name(const void* type) {
  if (type == nullptr) return "";
  const char* name = static_cast<const char* const*>(type)[1];
  if (name == nullptr) return "";
  return name[0] == '*' ? name + 1 : name;
}

// What comes with an event.
struct ErrorText {
  char bytes[kMaxExtraBytes];
  std::uint32_t used = 0;

  void add(const char* text, std::uint32_t most) {
    for (std::uint32_t end = used + most; used < end && used < kMaxExtraBytes && *text != '\0';)
      bytes[used++] = *text++;
  }
};

// As the agent says; before one is attached each throw is worth a stack.
std::uint64_t divisor_in_force() {
  std::uint64_t session = 0;
  const SharedHeader* header = attached_header(&session);
  return header != nullptr ? header->error_interval.load(std::memory_order_relaxed) : 1;
}

__attribute__((noinline)) void take_stack(ErrorPace& pace, const void* type, const void* object,
                                          std::uint32_t weight) {
  // Before the hook: it is the program's code that runs.
  const char* message = SIPROF_UNLIKELY(messages_are_on()) ? message_of(type, object) : nullptr;
  Hook hook(EventKind::kError);
  if (!hook.on()) return;
  ErrorText text;
  text.add(type_name(type), message == nullptr ? kMaxExtraBytes : kMaxExtraBytes - kMostMessageBytes - 1);
  if (message != nullptr && text.used < kMaxExtraBytes) {
    text.bytes[text.used++] = '\0';
    text.add(message, kMostMessageBytes);
  }
  Event event{EventKind::kError, 0, {weight}};
  event.extra = text.bytes;
  event.extra_bytes = text.used;
  if (!hook.emit(event)) pace.put_back(weight);
}

}  // namespace

void note_throw(const void* type, const void* object) {
  if (!kind_is_on(EventKind::kError)) return;
  ThreadState& thread = this_thread();
  if (thread.in_message) return;  // what() throws, which we have called
  count(Counter::throws);
  ErrorPace& pace = g_paces[thread.serial % kPaces];
  const std::uint32_t weight = pace.take(thread, monotonic_ns(), divisor_in_force());
  if (weight != 0) take_stack(pace, type, object, weight);
}

void note_unhandled() {
  if (!kind_is_on(EventKind::kError)) return;
  Hook hook(EventKind::kError);
  if (hook.on()) hook.emit({EventKind::kError, 0, {0, 1}});
}

void note_rethrow() {
  if (kind_is_on(EventKind::kError)) count(Counter::rethrows);
}

}  // namespace siprof::shim
