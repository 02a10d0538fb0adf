// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/errors.h"

#include "shim/base/text.h"
#include "shim/core/config.h"
#include "shim/core/hook.h"
#include "shim/core/stopwatch.h"
#include "shim/probe/error_message.h"
#include "shim/probe/error_pace.h"

namespace siprof::shim {
namespace {

// Not in the threads' own storage, which is small. A throw takes a microsecond: a line of memory more is
// nothing, and it is bounded for any number of threads.
constexpr std::uint32_t kPaces = 64;
constinit ErrorPace g_paces[kPaces];

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

ErrorPace& pace_of(const ThreadState& thread) {
  return g_paces[thread.serial % kPaces];
}

// While a Python program starts its imports raise, which the next ones can't stand for: those that are lost
// have no stack.
bool is_like_the_next(const Event& event, std::uint64_t now_ns) {
  constexpr std::uint64_t kStartNs = 2'000'000'000;
  const bool is_python = event.values[kErrorLanguage] == static_cast<std::uint64_t>(ErrorLanguage::kPython);
  return !is_python || now_ns - g_config.start_ns > kStartNs;
}

// Not inlined: the hook's frame must stand until its end.
__attribute__((noinline)) bool take_stack(const Event& facts, const ErrorText& text, std::uint32_t weight) {
  Hook hook(EventKind::kError);
  if (!hook.on()) return false;
  Event event = facts;
  event.values[kErrorThrown] = weight;
  event.extra = text.bytes;
  event.extra_bytes = text.used;
  const bool written = hook.emit(event);
  if (!written) pace_of(hook.thread()).put_back(is_like_the_next(facts, hook.now_ns()) ? weight : 0);
  return written;
}

// The name of a type, and a message behind it; null: none.
void fill(ErrorText* text, const char* type, const char* message) {
  text->add(type, message == nullptr ? kMaxExtraBytes : kMaxExtraBytes - kMostMessageBytes - 1);
  if (message == nullptr || text->used == kMaxExtraBytes) return;
  text->bytes[text->used++] = '\0';
  text->add(message, kMostMessageBytes);
}

}  // namespace

std::uint32_t count_error(Counter counter) {
  ThreadState& thread = this_thread();
  count(counter);
  return pace_of(thread).take(thread, monotonic_ns(), divisor_in_force());
}

void note_throw(const void* type, const void* object) {
  if (!kind_is_on(EventKind::kError)) return;
  if (this_thread().in_message) return;  // what() throws, which we have called
  const std::uint32_t weight = count_error(Counter::throws);
  if (weight == 0) return;
  // Before the hook: it is the program's code that runs.
  const char* message = SIPROF_UNLIKELY(messages_are_on()) ? message_of(type, object) : nullptr;
  ErrorText text;
  fill(&text, type_name(type), message);
  take_stack({EventKind::kError, 0, {}}, text, weight);
  asm volatile("");  // not a tail call: the frame belongs to the stack
}

bool take_error(const ErrorFacts& facts, std::uint32_t weight) {
  ErrorText text;
  fill(&text, facts.type, facts.message);
  Event event{EventKind::kError, 0, {}};
  event.values[kErrorUnhandled] = facts.is_unhandled ? 1 : 0;
  event.values[kErrorLanguage] = static_cast<std::uint64_t>(facts.language);
  event.values[kErrorIdentity] = facts.identity;
  event.trace = facts.trace;
  const bool written = take_stack(event, text, weight);
  asm volatile("");
  return written;
}

void note_unhandled() {
  note_unhandled(ErrorLanguage::kCpp, 0);
}

void note_unhandled(ErrorLanguage language, std::uint64_t identity) {
  if (!kind_is_on(EventKind::kError)) return;
  Hook hook(EventKind::kError);
  if (hook.on()) hook.emit({EventKind::kError, 0, {0, 1, static_cast<std::uint64_t>(language), identity}});
}

void note_rethrow() {
  if (kind_is_on(EventKind::kError)) count(Counter::rethrows);
}

}  // namespace siprof::shim
