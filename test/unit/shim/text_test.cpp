// SPDX-License-Identifier: Apache-2.0
#include "shim/base/text.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

namespace siprof::shim {
namespace {

TEST_CASE("strings compare as libc's do") {
  CHECK(length("") == 0);
  CHECK(length("abc") == 3);
  CHECK(equal("", ""));
  CHECK(equal("abc", "abc"));
  CHECK_FALSE(equal("abc", "abcd"));
  CHECK_FALSE(equal("abcd", "abc"));
  CHECK(starts_with("abc", ""));
  CHECK(starts_with("abc", "abc"));
  CHECK_FALSE(starts_with("ab", "abc"));
}

TEST_CASE("bytes are copied and zeroed up to the last and not beyond") {
  char to[8] = "-------";
  copy_bytes(to + 1, "abc", 3);
  CHECK(std::string(to) == "-abc---");
  zero_bytes(to + 2, 2);
  CHECK(memcmp(to, "-a\0\0---", 7) == 0);
}

TEST_CASE("a text buffer holds what fits, terminated, and remembers that something didn't") {
  char memory[8];
  memset(memory, '#', sizeof(memory));
  TextBuffer text(memory, 7);
  text.add("abc").add_number(45);
  CHECK_FALSE(text.overflowed());
  CHECK(std::string(text.c_str()) == "abc45");
  text.add("de");  // six characters and the end fit, not seven
  CHECK(text.overflowed());
  CHECK(std::string(text.c_str()) == "abc45");
  text.add("d");
  CHECK(std::string(text.c_str()) == "abc45d");
  CHECK(text.size() == 6);
  CHECK(memory[7] == '#');
  text.resize(2);
  CHECK(std::string(text.c_str()) == "ab");
}

TEST_CASE("numbers are written in the base asked for") {
  char memory[64];
  TextBuffer text(memory, sizeof(memory));
  text.add_number(0).add(" ").add_number(~std::uint64_t{0}).add(" ").add_number(0xdeadbeef, 16);
  CHECK(std::string(text.c_str()) == "0 18446744073709551615 deadbeef");
}

}  // namespace
}  // namespace siprof::shim
