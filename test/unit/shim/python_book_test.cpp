// SPDX-License-Identifier: Apache-2.0
// What the agent is told of code objects, read out of the ring byte by byte.
#include "shim/core/python_book.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "test/unit/shim/fake_python.h"
#include "test/unit/shim/test_pool.h"

namespace siprof::shim {
namespace {

struct Told {
  PythonCodeFields fields;
  std::string name;
  std::string file;
  std::string part;
};

std::vector<Told> read_told(const TestPool& pool) {
  std::vector<Told> out;
  for (std::uint32_t i = 0; i < pool.header()->chunk_count.load(); ++i) {
    const char* at = reinterpret_cast<const char*>(&pool.chunk(i) + 1);
    for (std::uint32_t used = 0; used < pool.chunk(i).reserved.load();) {
      const auto* header = reinterpret_cast<const RecordHeader*>(at + used);
      REQUIRE(header->kind.load() == RecordKind::kPythonCode);
      Told told{};
      memcpy(&told.fields, header + 1, sizeof(told.fields));
      const char* name = at + used + sizeof(PythonCodeRecord);
      const char* file = name + told.fields.name_bytes;
      REQUIRE(sizeof(PythonCodeRecord) + told.fields.name_bytes + told.fields.file_bytes +
                  told.fields.part_bytes <=
              header->bytes);
      told.name.assign(name, told.fields.name_bytes);
      told.file.assign(file, told.fields.file_bytes);
      told.part.assign(file + told.fields.file_bytes, told.fields.part_bytes);
      out.push_back(told);
      used += header->bytes;
    }
  }
  return out;
}

PythonCode look(const FakePython& python, std::uint64_t address) {
  PythonCode code{};
  REQUIRE(look_at_code(python.layout(), address, &code));
  return code;
}

struct Scene {
  FakePython python;
  TestPool pool;
  ThreadState thread{};
  RingWriter writer{pool.header(), 1, thread};
  const GuardHere guard;

  explicit Scene(const PythonLayout& layout, std::uint32_t chunks = 64) : python(layout), pool(chunks) {
    thread.tid = 7;
    thread.serial = 1;
  }
  Telling tell(std::uint64_t address, std::uint64_t* mark) {
    std::uint32_t bytes = 0;
    return tell_code(&writer, python.layout(), look(python, address), mark, &bytes);
  }
};

const std::string kTable = std::string(3000, 'T') + "end";

TEST_CASE("a code object's names and line table are told, the table in parts") {
  for (const PythonLayout& layout : fake_layouts()) {
    CAPTURE(layout.version);
    Scene scene(layout);
    std::uint64_t mark = 0;
    REQUIRE(scene.tell(scene.python.code(U"n\u00e4me", U"/app/f.py", 42, kTable), &mark) == Telling::kTold);
    const std::vector<Told> told = read_told(scene.pool);
    REQUIRE(told.size() == 3);
    std::string table;
    for (const Told& part : told) {
      CHECK(part.fields.mark == mark);
      CHECK(part.fields.first_line == 42);
      CHECK(part.fields.flags == 0x43);
      CHECK(part.fields.version == layout.version);
      CHECK(part.fields.table_bytes == kTable.size());
      CHECK(part.fields.part_start == table.size());
      const std::string name = layout.name == layout.plain_name ? "n\xc3\xa4me" : "Class.n\xc3\xa4me";
      CHECK(part.name == name + '\0');
      CHECK(part.file == std::string("/app/f.py") + '\0');
      table += part.part;
    }
    CHECK(table == kTable);
  }
}

TEST_CASE("what says the same has the same mark wherever it is, and what differs another") {
  Scene scene(fake_layouts().back());
  FakePython& python = scene.python;
  const auto mark_of = [&](const std::u32string& name, const std::u32string& file, std::uint32_t line,
                           const std::string& table) {
    std::uint64_t mark = 0;
    REQUIRE(scene.tell(python.code(name, file, line, table), &mark) == Telling::kTold);
    return mark;
  };
  const std::uint64_t mark = mark_of(U"f", U"a.py", 1, "lines");
  CHECK(mark_of(U"f", U"a.py", 1, "lines") == mark);
  CHECK(mark_of(U"g", U"a.py", 1, "lines") != mark);
  CHECK(mark_of(U"f", U"b.py", 1, "lines") != mark);
  CHECK(mark_of(U"f", U"a.py", 2, "lines") != mark);
  CHECK(mark_of(U"f", U"a.py", 1, "linet") != mark);
}

TEST_CASE("a name that isn't text is replaced by the plain one, an unreadable file name is unreadable") {
  Scene scene(fake_layouts().back());
  FakePython& python = scene.python;
  const std::uint64_t code = python.code(U"plain", U"a.py", 1, "");
  FakePython::put(code + python.layout().name, std::uint64_t{0});
  std::uint64_t mark = 0;
  REQUIRE(scene.tell(code, &mark) == Telling::kTold);
  REQUIRE(read_told(scene.pool).size() == 1);
  CHECK(read_told(scene.pool)[0].name == std::string("plain") + '\0');
  FakePython::put(code + python.layout().file_name, python.bytes("a.py"));
  CHECK(scene.tell(code, &mark) == Telling::kUnreadable);
}

TEST_CASE("a line table that is too long or none is left out") {
  Scene scene(fake_layouts().back());
  std::uint64_t mark = 0;
  const std::uint64_t code = scene.python.code(U"f", U"a.py", 1, std::string(kMaxPythonLineTable + 1, 'T'));
  REQUIRE(scene.tell(code, &mark) == Telling::kTold);
  FakePython::put(code + scene.python.layout().line_table, scene.python.text(U"no bytes"));
  REQUIRE(scene.tell(code, &mark) == Telling::kTold);
  for (const Told& told : read_told(scene.pool)) CHECK(told.fields.table_bytes == 0);
  CHECK(read_told(scene.pool).size() == 2);
}

TEST_CASE("without room nothing counts as told") {
  Scene scene(fake_layouts().back(), /*chunks=*/1);
  std::uint64_t mark = 0;
  const std::uint64_t code = scene.python.code(U"f", U"a.py", 1, std::string(8000, 'T'));
  CHECK(scene.tell(code, &mark) == Telling::kNoRoom);
  CHECK(mark == 0);
}

TEST_CASE("an object is known until it is another, or the reader is") {
  Scene scene(fake_layouts().back());
  std::vector<BookEntry> entries(kBookEntries);
  PythonBook book(entries.data());
  FakePython& python = scene.python;
  const std::uint64_t address = python.code(U"f", U"a.py", 1, "lines");
  const PythonCode code = look(python, address);
  CHECK(book.find(code, 5) == 0);
  book.note(code, 5, 77);
  CHECK(book.find(code, 5) == 77);
  CHECK(book.find(code, 6) == 0);
  book.note(code, 6, 78);
  CHECK(book.find(code, 6) == 78);
  // Freed, and another one in its place.
  FakePython::put(address + python.layout().plain_name, python.text(U"g"));
  FakePython::put(address + python.layout().name, python.text(U"g"));
  CHECK(book.find(look(python, address), 6) == 0);
}

TEST_CASE("a full book loses what it was told longest ago, and never says what is wrong") {
  Scene scene(fake_layouts().back());
  std::vector<BookEntry> entries(kBookEntries);
  PythonBook book(entries.data());
  const PythonCode code = look(scene.python, scene.python.code(U"f", U"a.py", 1, ""));
  constexpr std::uint32_t kCodes = 3 * kBookEntries;
  std::uint32_t known = 0;
  for (std::uint32_t i = 1; i <= kCodes; ++i) {
    PythonCode one = code;
    one.first_line = i;
    book.note(one, 1, i);
    CHECK(book.find(one, 1) == i);
  }
  for (std::uint32_t i = 1; i <= kCodes; ++i) {
    PythonCode one = code;
    one.first_line = i;
    const std::uint64_t mark = book.find(one, 1);
    CHECK((mark == 0 || mark == i));
    known += mark != 0;
  }
  CHECK(known > kBookEntries / 2);
  CHECK(known <= kBookEntries);
}

TEST_CASE("two threads that write and read one book are told nothing wrong") {
  Scene scene(fake_layouts().back());
  std::vector<BookEntry> entries(kBookEntries);
  const PythonCode code = look(scene.python, scene.python.code(U"f", U"a.py", 1, ""));
  std::atomic<std::uint32_t> wrong{0};
  const auto work = [&](std::uint32_t own) {
    PythonBook book(entries.data());
    for (std::uint32_t round = 0; round < 200'000; ++round) {
      PythonCode one = code;
      // Places that collide.
      one.first_line = (round * 7 + own) % 40'000;
      const std::uint64_t mark = book.find(one, 3);
      if (mark != 0 && mark != one.first_line + 1) wrong.fetch_add(1, std::memory_order_relaxed);
      if (mark == 0) book.note(one, 3, std::uint64_t{one.first_line} + 1);
    }
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  CHECK(wrong.load() == 0);
}

}  // namespace
}  // namespace siprof::shim
