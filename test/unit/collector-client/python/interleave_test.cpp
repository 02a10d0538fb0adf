// SPDX-License-Identifier: Apache-2.0
// Native and Python frames become one stack; which native ones are shown.
#include "collector-client/python/interleave.h"

#include <catch2/catch.hpp>
#include <string>

#include "collector-client/python/functions.h"
#include "collector-client/python/native_frames.h"

namespace siprof::client {
namespace {

using Stack = std::vector<CodeAddress>;

Module module_at(const char* path) {
  Module module;
  module.path = path;
  return module;
}
const Module kPython = module_at("/usr/lib/libpython3.12.so.1.0");
const Module kProgram = module_at("/usr/bin/python3.12");
const Module kApp = module_at("/srv/bin/app");
const Module kLibc = module_at("/lib/x86_64-linux-gnu/libc.so.6");
const Module kExtension = module_at("/srv/_fast.so");

const PythonModule& interpreter() {
  static const PythonModule python = [] {
    PythonModule made;
    made.evaluation = {{0x1000, 0x2000}, {0x9000, 0x9100}};
    return made;
  }();
  return python;
}

// One letter a native frame.
CodeAddress native(char c) {
  switch (c) {
    case 'E':
      return {&kPython, 0x1010};
    case 'C':  // what was split off
      return {&kPython, 0x9010};
    case 'p':
      return {&kPython, 0x3000};
    case 'm':
      return {&kProgram, 0x10};
    case 'a':
      return {&kApp, 0x10};
    case 'l':
      return {&kLibc, 0x10};
    case 'x':
      return {&kExtension, 0x10};
    default:
      return {nullptr, 0x10};
  }
}

Stack stack_of(const std::string& letters) {
  Stack stack;
  for (const char c : letters) stack.push_back(native(c));
  return stack;
}

std::string text_of(const Stack& stack) {
  std::string text;
  for (const CodeAddress& code : stack) {
    if (code.is_python()) {
      text += static_cast<char>('0' + PythonFunctions::function_of(code));
      continue;
    }
    for (const char c : std::string("ECpmalx?"))
      if (native(c) == code) {
        text += c;
        break;
      }
  }
  return text;
}

struct Mixed {
  Alignment alignment;
  std::string text;
};

// Digits are Python frames, leaf first; a dot ends a segment.
Mixed mix(const std::string& letters, const std::string& digits, bool native_is_whole = true,
          bool python_is_whole = true) {
  const Stack frames = stack_of(letters);
  std::vector<PythonFrame> python;
  for (const char c : digits) {
    if (c == '.')
      python.back().ends_segment = true;
    else
      python.push_back({PythonFunctions::address_of(static_cast<std::uint64_t>(c - '0'), 1)});
  }
  Stack out;
  const Alignment alignment =
      interleave({frames, native_is_whole, python, python_is_whole}, &kPython, interpreter(), &out);
  return {alignment, text_of(out)};
}

TEST_CASE("each call of the evaluation function becomes the frames of its segment") {
  const Mixed mixed = mix("lpExpElm", "12.3.");
  CHECK(mixed.alignment == Alignment::kAligned);
  CHECK(mixed.text == "lp12xp3lm");
  CHECK(mix("CpE", "1.23.").text == "1p23");
}

TEST_CASE("a call on its way in or out has no frame, and it is the innermost") {
  const Mixed mixed = mix("pEpEl", "12.");
  CHECK(mixed.alignment == Alignment::kEntering);
  CHECK(mixed.text == "pEp12l");
}

TEST_CASE("a native stack that is cut keeps all Python frames") {
  const Mixed mixed = mix("lpEx", "1.2.34.", /*native_is_whole=*/false);
  CHECK(mixed.alignment == Alignment::kPartial);
  CHECK(mixed.text == "lp1x234");
  CHECK(mix("l", "1.2.", /*native_is_whole=*/false).text == "l12");
  // More calls than segments: the innermost has none here, too.
  CHECK(mix("EpEx", "1.", /*native_is_whole=*/false).text == "Ep1x");
}

TEST_CASE("Python frames that are cut are the innermost ones") {
  const Mixed mixed = mix("EpEpEl", "1.2", true, /*python_is_whole=*/false);
  CHECK(mixed.alignment == Alignment::kPartial);
  CHECK(mixed.text == "1p2pEl");
}

TEST_CASE("where they don't fit, Python frames stand together at the first call") {
  const Mixed fewer = mix("lEpElm", "1.2.3.");
  CHECK(fewer.alignment == Alignment::kMismatched);
  CHECK(fewer.text == "l123plm");
  CHECK(mix("lEpEpEpEl", "1.").text == "l1pppl");
  // Another evaluation function than CPython's own.
  const Mixed none = mix("xlpplm", "1.2.");
  CHECK(none.alignment == Alignment::kMismatched);
  CHECK(none.text == "xl12pplm");
  CHECK(mix("xl", "1.").text == "xl1");
}

std::string shown(NativeFrames frames, const std::string& letters) {
  Stack stack;
  for (const char c : letters)
    stack.push_back(c >= '0' && c <= '9' ? PythonFunctions::address_of(static_cast<std::uint64_t>(c - '0'), 1)
                                         : native(c));
  hide_native_frames(frames, &kPython, &stack);
  return text_of(stack);
}

TEST_CASE("app: not the interpreter's frames, nor what only starts it") {
  CHECK(shown(NativeFrames::kApp, "lp12xpE3plml") == "l12x3");
  // A thread of an ordinary program.
  CHECK(shown(NativeFrames::kApp, "1ppl") == "1");
}

TEST_CASE("app: a program that embeds Python shows how it came to that") {
  CHECK(shown(NativeFrames::kApp, "x12pal") == "x12al");
  CHECK(shown(NativeFrames::kApp, "12p?l") == "12?l");
}

TEST_CASE("all and none") {
  CHECK(shown(NativeFrames::kAll, "lp12xp3plm") == "lp12xp3plm");
  CHECK(shown(NativeFrames::kNone, "lp12xp3plm") == "123");
}

TEST_CASE("stacks without Python frames stay as they are") {
  for (const auto frames : {NativeFrames::kApp, NativeFrames::kAll, NativeFrames::kNone})
    CHECK(shown(frames, "lppml") == "lppml");
}

TEST_CASE("the option's values") {
  CHECK(parse_native_frames("app") == NativeFrames::kApp);
  CHECK(parse_native_frames("all") == NativeFrames::kAll);
  CHECK(parse_native_frames("none") == NativeFrames::kNone);
  CHECK_FALSE(parse_native_frames("some"));
}

}  // namespace
}  // namespace siprof::client
