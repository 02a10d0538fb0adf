// SPDX-License-Identifier: Apache-2.0
// Thrown exceptions: by type, exact in number, caught or not.
#include <cstring>

#include "test/unit/collector-client/intake/fixtures.h"

namespace siprof::client {
namespace {

using testing::SharedMemory;
using testing::sum;
using testing::Taker;
using testing::text_of;

const Stack kStack = {{nullptr, 0x10}, {nullptr, 0x20}};

RawSample thrown(std::uint64_t weight = 1, const std::string& type = "St9bad_alloc") {
  RawSample raw{};
  raw.record.head.event = EventKind::kError;
  raw.record.head.values[kErrorThrown] = weight;
  raw.extra = type;
  return raw;
}

RawSample unhandled() {
  RawSample raw{};
  raw.record.head.event = EventKind::kError;
  raw.record.head.values[kErrorUnhandled] = 1;
  return raw;
}

SampleView of_thread(pid_t thread) {
  SampleView view;
  view.stack = kStack;
  view.thread_id = thread;
  return view;
}

// Of the window's samples with that label.
std::int64_t count_of(const Window& window, const std::string& key, const std::string& value) {
  std::int64_t count = 0;
  for (const WindowSample& sample : window.samples)
    count += text_of(sample, key) == value ? sample.values[0] : 0;
  return count;
}

TEST_CASE("throws add up by demangled type") {
  SharedMemory memory;
  Taker taker(memory, make_errors_intake);
  memory.count(Counter::throws, 7);
  for (int i = 0; i < 3; ++i) taker.take(thrown(), of_thread(1));
  taker.take(thrown(4, "i"), of_thread(2));
  const Window window = taker.cut();
  CHECK(count_of(window, "type", "std::bad_alloc") == 3);
  CHECK(count_of(window, "type", "int") == 4);
  CHECK(count_of(window, "handled", "true") == 7);
}

TEST_CASE("the thread's last one is the one that nobody caught") {
  SharedMemory memory;
  Taker taker(memory, make_errors_intake);
  memory.count(Counter::throws, 3);
  taker.take(thrown(), of_thread(1));
  taker.take(thrown(1, "i"), of_thread(1));
  taker.take(thrown(), of_thread(2));
  taker.take(unhandled(), of_thread(1));
  const Window window = taker.cut();
  CHECK(count_of(window, "handled", "false") == 1);
  CHECK(count_of(window, "handled", "true") == 2);
  for (const WindowSample& sample : window.samples)
    CHECK((text_of(sample, "handled") == "false") == (text_of(sample, "type") == "int"));
  CHECK(window.counters.at("throws_unhandled") == 1);
}

RawSample raised(std::uint64_t identity, const std::string& type, std::uint64_t unhandled = 0) {
  RawSample raw = thrown(1, type);
  raw.record.head.values[kErrorUnhandled] = unhandled;
  raw.record.head.values[kErrorLanguage] = static_cast<std::uint64_t>(ErrorLanguage::kPython);
  raw.record.head.values[kErrorIdentity] = identity;
  return raw;
}

RawSample not_caught(std::uint64_t identity) {
  RawSample raw = raised(identity, "", 1);
  raw.record.head.values[kErrorThrown] = 0;
  return raw;
}

TEST_CASE("Python's types are called what Python calls them") {
  SharedMemory memory;
  Taker taker(memory, make_errors_intake);
  memory.count(Counter::python_raises, 3);
  taker.take(raised(1, "i"), of_thread(1));
  taker.take(raised(2, "shop.Error.Inner"), of_thread(1));
  taker.take(raised(3, ""), of_thread(1));
  const Window window = taker.cut();
  CHECK(count_of(window, "type", "i") == 1);
  CHECK(count_of(window, "type", "shop.Error.Inner") == 1);
  CHECK(count_of(window, "type", "(unknown)") == 1);
}

TEST_CASE("the one that nobody caught is known among those raised since") {
  SharedMemory memory;
  Taker taker(memory, make_errors_intake);
  memory.count(Counter::python_raises, 4);
  memory.count(Counter::throws, 1);
  taker.take(raised(7, "Old"), of_thread(1));
  taker.take(raised(7, "Lost"), of_thread(1));  // where the old one was
  taker.take(raised(8, "Cleanup"), of_thread(1));
  taker.take(thrown(1, "i"), of_thread(1));
  taker.take(raised(7, "Other"), of_thread(2));
  taker.take(not_caught(7), of_thread(1));
  taker.take(not_caught(9), of_thread(1));  // too long ago
  const Window window = taker.cut();
  CHECK(sum(window, 0) == 5);
  CHECK(count_of(window, "handled", "false") == 1);
  for (const WindowSample& sample : window.samples)
    CHECK((text_of(sample, "handled") == "false") == (text_of(sample, "type") == "Lost"));
  CHECK(window.counters.at("throws_unhandled") == 2);
}

TEST_CASE("one that is told of only when nobody has caught it") {
  SharedMemory memory;
  Taker taker(memory, make_errors_intake);
  memory.count(Counter::python_raises, 2);
  taker.take(raised(7, "Lost", 1), of_thread(1));
  taker.take(raised(8, "Caught"), of_thread(1));
  taker.take(not_caught(7), of_thread(1));  // it has been told of
  const Window window = taker.cut();
  CHECK(sum(window, 0) == 2);
  CHECK(count_of(window, "handled", "false") == 1);
  CHECK(count_of(window, "type", "Lost") == 1);
}

TEST_CASE("what nobody caught in C++ is not one of Python's") {
  SharedMemory memory;
  Taker taker(memory, make_errors_intake);
  memory.count(Counter::python_raises, 1);
  memory.count(Counter::throws, 1);
  taker.take(thrown(1, "i"), of_thread(1));
  taker.take(raised(7, "Python"), of_thread(1));
  taker.take(unhandled(), of_thread(1));
  const Window window = taker.cut();
  CHECK(sum(window, 0) == 2);
  CHECK(count_of(window, "handled", "false") == 0);
}

TEST_CASE("throws that lost their stack are counted once it is sure that none comes") {
  SharedMemory memory;
  Taker taker(memory, make_errors_intake);
  memory.count(Counter::throws, 5);
  taker.take(thrown(2), of_thread(1));
  CHECK(sum(taker.cut(), 0) == 2);
  const Window second = taker.cut();
  CHECK(count_of(second, "type", "(unknown)") == 3);
  CHECK(second.counters.at("throws_without_stack") == 3);
  CHECK(sum(taker.cut(), 0) == 0);

  memory.count(Counter::throws, 1);
  taker.finish();  // the process has ended
  CHECK(sum(taker.cut_without_account(), 0) == 1);
}

TEST_CASE("an unhandled one that came alone does no harm") {
  SharedMemory memory;
  Taker taker(memory, make_errors_intake);
  taker.take(unhandled(), of_thread(1));
  const Window window = taker.cut();
  CHECK(window.samples.empty());
  CHECK(window.counters.at("throws_unhandled") == 1);
}

TEST_CASE("a message comes after the type, and a window has a bounded number of them") {
  SharedMemory memory;
  Taker taker(memory, make_errors_intake);
  taker.take(thrown(1, std::string("i\0no such file", 14)), of_thread(1));
  for (int i = 0; i < 2000; ++i) {
    std::string extra("i\0", 2);
    taker.take(thrown(1, extra + std::to_string(i)), of_thread(1));
  }
  const Window window = taker.cut();
  CHECK(count_of(window, "message", "no such file") == 1);
  CHECK(count_of(window, "message", "42") == 1);
  CHECK(count_of(window, "message", "(other messages)") == 2001 - 500);
  CHECK(count_of(window, "type", "int") == 2001);
}

TEST_CASE("a name that is none, and a weight that none can have") {
  SharedMemory memory;
  Taker taker(memory, make_errors_intake);
  taker.take(thrown(0, std::string(512, '\xff')), of_thread(1));
  taker.take(thrown(~std::uint64_t{0}, ""), of_thread(1));
  const Window window = taker.cut();
  CHECK(count_of(window, "type", "(unknown)") == 1 << 24);
  CHECK(sum(window, 0) == (1 << 24) + 1);
}

}  // namespace
}  // namespace siprof::client
