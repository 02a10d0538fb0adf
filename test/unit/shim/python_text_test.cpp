// SPDX-License-Identifier: Apache-2.0
#include "shim/core/python_text.h"

#include <catch2/catch.hpp>
#include <string>

#include "test/unit/shim/fake_python.h"

namespace siprof::shim {
namespace {

std::string utf8(const FakePython& python, std::uint64_t object, std::uint32_t most = 256) {
  PythonText text{};
  REQUIRE(open_text(python.layout(), object, &text));
  std::string out(most + 1, '\x7f');
  const std::uint32_t bytes = text_to_utf8(text, most, out.data(), nullptr);
  CHECK(text_to_utf8(text, most, nullptr, nullptr) == bytes);
  CHECK(out[most] == '\x7f');
  REQUIRE(bytes != 0);
  REQUIRE(bytes <= most);
  REQUIRE(out[bytes - 1] == '\0');
  return out.substr(0, bytes - 1);
}

TEST_CASE("text of every width comes as UTF-8") {
  const GuardHere guard;
  for (const PythonLayout& layout : fake_layouts()) {
    CAPTURE(layout.version);
    FakePython python(layout);
    CHECK(utf8(python, python.text(U"")).empty());
    CHECK(utf8(python, python.text(U"plain_name")) == "plain_name");
    CHECK(utf8(python, python.text(U"caf\u00e9")) == "caf\xc3\xa9");
    CHECK(utf8(python, python.text(U"\u0416\u20ac")) == "\xd0\x96\xe2\x82\xac");
    CHECK(utf8(python, python.text(U"a\U0001f40d\u00ff")) == "a\xf0\x9f\x90\x8d\xc3\xbf");
    CHECK(utf8(python, python.derived_text(U"derived")) == "derived");
    CHECK(utf8(python, python.derived_text(U"\u0416")) == "\xd0\x96");
  }
}

TEST_CASE("surrogates, zeros and what is no character are replaced") {
  const GuardHere guard;
  FakePython python(fake_layouts().back());
  const std::string replaced = "\xef\xbf\xbd";
  CHECK(utf8(python, python.text(std::u32string(U"a\0b", 3))) == "a" + replaced + "b");
  CHECK(utf8(python, python.text({U'x', char32_t{0xdc80}, U'y'})) == "x" + replaced + "y");
  CHECK(utf8(python, python.text({char32_t{0x110000}, char32_t{0xffffffff}})) == replaced + replaced);
}

TEST_CASE("long text is cut between characters") {
  const GuardHere guard;
  FakePython python(fake_layouts().back());
  CHECK(utf8(python, python.text(std::u32string(10'000, U'n')), 256) == std::string(255, 'n'));
  CHECK(utf8(python, python.text(U"ab\u20acd"), 5) == "ab");
  CHECK(utf8(python, python.text(U"ab\u20acd"), 6) == "ab\xe2\x82\xac");
  CHECK(utf8(python, python.text(U"\u20ac"), 1).empty());
}

TEST_CASE("what is no text, or can't be read to its end, is none") {
  const GuardHere guard;
  FakePython python(fake_layouts().back());
  PythonText text{};
  CHECK_FALSE(open_text(python.layout(), 0, &text));
  CHECK_FALSE(open_text(python.layout(), python.bytes("no text"), &text));
  CHECK_FALSE(open_text(python.layout(), python.end() - 16, &text));
  CHECK_FALSE(open_text(python.layout(), python.text(U"x") + 1, &text));
  const PythonText at_the_end{python.end() - 4, 5, 1};
  CHECK(text_to_utf8(at_the_end, 256, nullptr, nullptr) == 0);
  const PythonText in_time{python.end() - 4, 5, 1};
  FakePython::put(python.end() - 4, std::uint32_t{0x64636261});
  CHECK(text_to_utf8(in_time, 4, nullptr, nullptr) == 4);
}

TEST_CASE("marks differ by every byte and are never 0") {
  const auto mark_of = [](const std::string& text) {
    MarkHash hash;
    for (const char c : text) hash.add(static_cast<std::uint8_t>(c));
    return hash.mark();
  };
  CHECK(mark_of("name") == mark_of("name"));
  CHECK(mark_of("name") != mark_of("nama"));
  CHECK(mark_of("a") != mark_of(std::string("\0a", 2)));
  CHECK(mark_of("12345678") != mark_of("1234567"));
  CHECK(mark_of("") != 0);
  CHECK(mark_of("a") >> kPythonMarkBits == 0);
}

}  // namespace
}  // namespace siprof::shim
