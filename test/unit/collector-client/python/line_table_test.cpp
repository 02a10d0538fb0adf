// SPDX-License-Identifier: Apache-2.0
// The three formats of line tables by hand, and bytes that no compiler writes. Tables of real interpreters
// are interpreter_facts.py's.
#include "collector-client/python/line_table.h"

#include <catch2/catch.hpp>
#include <initializer_list>
#include <random>
#include <vector>

#include "collector-client/python/layouts.h"

namespace siprof::client {
namespace {

constexpr std::uint16_t kPython39 = python_version(3, 9);
constexpr std::uint16_t kPython310 = python_version(3, 10);
constexpr std::uint16_t kPython312 = python_version(3, 12);

std::vector<std::byte> table_of(std::initializer_list<int> bytes) {
  std::vector<std::byte> table;
  for (const int byte : bytes) table.push_back(static_cast<std::byte>(byte));
  return table;
}

TEST_CASE("lnotab: pairs of bytes and lines later, lines may go back") {
  const auto table = table_of({2, 1, 4, 127, 0, 100, 2, -3});
  CHECK(line_of(kPython39, table, 10, 0) == 10);
  CHECK(line_of(kPython39, table, 10, 1) == 11);
  CHECK(line_of(kPython39, table, 10, 2) == 11);
  CHECK(line_of(kPython39, table, 10, 3) == 238);
  CHECK(line_of(kPython39, table, 10, 4) == 235);
  CHECK(line_of(kPython39, table, 10, 500) == 235);
  CHECK(line_of(kPython39, {}, 10, 500) == 10);
}

TEST_CASE("3.10: what is of no line has none, and doesn't move the others") {
  const auto table = table_of({4, 0, 2, -128, 6, 2});
  CHECK(line_of(kPython310, table, 10, 1) == 10);
  CHECK(line_of(kPython310, table, 10, 2) == std::nullopt);
  CHECK(line_of(kPython310, table, 10, 3) == 12);
  CHECK(line_of(kPython310, table, 10, 5) == 12);
  CHECK(line_of(kPython310, table, 10, 6) == std::nullopt);
}

TEST_CASE("3.11: entries of every form") {
  const auto table = table_of({
      0x80 | 0 << 3 | 1, 0x00,                    // short form: 2 words, the first line
      0x80 | 11 << 3 | 0, 0x04, 0x08,             // one line on
      0x80 | 15 << 3 | 2,                         // of no line
      0x80 | 13 << 3 | 0, 0x40 | 0x09, 0x02,      // signed varint 0b10'001001: minus 68
      0x80 | 14 << 3 | 7, 0x20, 0x01, 0x02, 0x03  // 16 lines on, three numbers more
  });
  CHECK(line_of(kPython312, table, 100, 0) == 100);
  CHECK(line_of(kPython312, table, 100, 1) == 100);
  CHECK(line_of(kPython312, table, 100, 2) == 101);
  CHECK(line_of(kPython312, table, 100, 3) == std::nullopt);
  CHECK(line_of(kPython312, table, 100, 6) == 33);
  CHECK(line_of(kPython312, table, 100, 7) == 49);
  CHECK(line_of(kPython312, table, 100, 14) == 49);
  CHECK(line_of(kPython312, table, 100, 15) == std::nullopt);
}

TEST_CASE("a line that can't be is none") {
  CHECK(line_of(kPython39, table_of({0, -100}), 10, 0) == std::nullopt);
  CHECK(line_of(kPython310, table_of({8, -100}), 10, 0) == std::nullopt);
  CHECK(line_of(kPython312, table_of({0x80 | 13 << 3, 0x3f}), 10, 0) == std::nullopt);
}

TEST_CASE("any bytes are read without harm") {
  std::mt19937 random(1);
  std::vector<std::byte> table(4096);
  const std::uint16_t versions[] = {python_version(3, 8), kPython310, kPython312};
  for (int run = 0; run < 3000; ++run) {
    table.resize(random() % 4096);
    for (std::byte& byte : table) byte = static_cast<std::byte>(random());
    // A number without an end.
    if (run % 3 == 0)
      std::fill(table.begin() + static_cast<std::ptrdiff_t>(table.size() / 2), table.end(), std::byte{0x7f});
    const auto line = line_of(versions[random() % 3], table, random(), random() % 20'000);
    if (line) CHECK(*line > 0);
  }
}

}  // namespace
}  // namespace siprof::client
