// SPDX-License-Identifier: Apache-2.0
// What a process tells of its code, and how long it is kept.
#include "collector-client/python/code_book.h"

#include <catch2/catch.hpp>

#include "collector-client/python/layouts.h"

namespace siprof::client {
namespace {

constexpr std::uint64_t kMark = 0x2abcdef0123;

PythonCodePart part(std::uint64_t mark, const std::string& name, std::vector<std::byte> table = {},
                    std::uint32_t start = 0, std::uint32_t whole = 0) {
  PythonCodePart part{};
  part.fields.mark = mark;
  part.fields.first_line = 10;
  part.fields.version = python_version(3, 9);
  part.fields.table_bytes = whole != 0 ? whole : static_cast<std::uint32_t>(table.size());
  part.fields.part_start = start;
  part.name = name;
  part.file = "/usr/lib/python3.9/queue.py";
  part.table = std::move(table);
  return part;
}

// Two bytes later seven lines on.
const std::vector<std::byte> kTable = {std::byte{2}, std::byte{7}};

struct Fixture {
  PythonFunctions functions;
  CodeBook book{functions, nullptr, {.codes = 4, .bytes = 1u << 20}};
  SourceFrame at(std::uint64_t mark, std::uint32_t instruction) {
    return functions.frame(book.frame(python_word(mark, instruction, false)));
  }
};

TEST_CASE_METHOD(Fixture, "a word is a function and a line") {
  book.define(part(kMark, "Queue.get", kTable));
  REQUIRE(book.knows(kMark));
  const SourceFrame frame = at(kMark, 1);
  CHECK(frame.name == "queue.Queue.get");
  CHECK(frame.system_name == "Queue.get");
  CHECK(frame.file == "/usr/lib/python3.9/queue.py");
  CHECK(frame.line == 17);
  CHECK(frame.start_line == 10);
  CHECK(at(kMark, 0).line == 10);
  // Not started yet.
  CHECK(at(kMark, kPythonNoInstruction).line == 10);
  // What a flag says is no part of what it is called.
  CHECK(book.frame(python_word(kMark, 1, true)) == book.frame(python_word(kMark, 1, false)));
}

TEST_CASE_METHOD(Fixture, "a mark without a meaning has an honest name") {
  CHECK_FALSE(book.knows(kMark));
  CHECK(at(kMark, 1).name == "[unknown Python function]");
  book.give_up(kMark);
  CHECK(book.knows(kMark));
  // It comes after all.
  book.define(part(kMark, "f", kTable));
  CHECK(at(kMark, 1).name == "queue.f");
  CHECK(at(kMark, 1).line == 17);
}

TEST_CASE_METHOD(Fixture, "a line table in parts is used when it is whole") {
  const std::vector<std::byte> first = {std::byte{2}};
  const std::vector<std::byte> second = {std::byte{7}};
  book.define(part(kMark, "f", first, 0, 2));
  CHECK_FALSE(book.knows(kMark));
  CHECK(at(kMark, 1).line == 10);
  book.define(part(kMark, "f", first, 0, 2));   // another thread tells the same
  book.define(part(kMark, "f", second, 1, 3));  // it isn't the same
  CHECK_FALSE(book.knows(kMark));
  book.define(part(kMark, "f", second, 1, 2));
  CHECK(book.knows(kMark));
  CHECK(at(kMark, 1).line == 17);
  book.define(part(kMark, "f", second, 1, 2));
  CHECK(at(kMark, 1).line == 17);
}

TEST_CASE_METHOD(Fixture, "a full book takes nothing more until it is turned over, and keeps what is used") {
  for (std::uint64_t mark = 1; mark <= 4; ++mark) book.define(part(mark, "f" + std::to_string(mark)));
  REQUIRE(book.is_full());
  book.define(part(5, "f5"));
  CHECK_FALSE(book.knows(5));
  book.turn_over();
  CHECK_FALSE(book.is_full());
  CHECK(at(1, 0).name == "queue.f1");
  book.define(part(5, "f5"));
  CHECK(book.knows(5));
  CHECK(book.size() == 5);
  book.turn_over();
  CHECK(book.knows(1));
  CHECK(book.knows(5));
  CHECK_FALSE(book.knows(2));
  CHECK(functions.size() == 5);
  // Nobody uses them any more.
  functions.trim(functions.moment());
  CHECK(functions.size() == 2);
}

TEST_CASE("a process that tells millions of codes keeps no more than the limits") {
  PythonFunctions functions;
  {
    CodeBook book(functions, nullptr, {.codes = 100, .bytes = 1u << 20});
    for (std::uint64_t mark = 1; mark < 10'000; ++mark) {
      book.define(part(mark, "f" + std::to_string(mark)));
      if (mark % 150 == 0) book.turn_over();
      if (mark % 150 == 0) functions.trim(functions.moment());
    }
    CHECK(book.size() <= 200);
    CHECK(functions.size() <= 300);
    for (std::uint64_t mark = 0; mark < 10'000; ++mark) book.give_up(mark);
  }
  functions.trim(functions.moment());
  CHECK(functions.size() == 0);
}

TEST_CASE("tables of many bytes fill a book, too") {
  PythonFunctions functions;
  CodeBook book(functions, nullptr, {.codes = 1000, .bytes = 200'000});
  std::uint64_t mark = 1;
  while (!book.is_full() && mark < 1000) book.define(part(mark++, "f", std::vector<std::byte>(60'000)));
  CHECK(mark == 5);
}

TEST_CASE("functions that are equal have one number, which nobody else ever gets") {
  PythonFunctions functions;
  const std::uint64_t one = functions.intern({"m.f", "f", "m.py", 1});
  CHECK(functions.intern({"m.f", "f", "m.py", 1}) == one);
  CHECK(functions.intern({"m.f", "f", "m.py", 2}) != one);
  functions.release(one);
  functions.trim(functions.moment());
  CHECK(functions.frame(PythonFunctions::address_of(one, 3)).name == "m.f");
  const std::uint64_t before = functions.moment();
  functions.release(one);
  // A window may still have it.
  functions.trim(before);
  CHECK(functions.frame(PythonFunctions::address_of(one, 3)).line == 3);
  functions.trim(functions.moment());
  CHECK(functions.frame(PythonFunctions::address_of(one, 3)).name == "[unknown Python function]");
  const std::uint64_t two = functions.intern({"m.f", "f", "m.py", 1});
  CHECK(two != one);
  // Lines beyond what fits are none, and no other function's.
  CHECK(functions.frame(PythonFunctions::address_of(two, 0xffffff)).line == 0xffffff);
  CHECK(functions.frame(PythonFunctions::address_of(two, 0x1000000)).line == 0);
  CHECK(functions.frame(PythonFunctions::address_of(two, 0x1000000)).name == "m.f");
}

}  // namespace
}  // namespace siprof::client
