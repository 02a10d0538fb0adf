// SPDX-License-Identifier: Apache-2.0
// Frames of made-up interpreters of each kind, whole, half made and destroyed.
#include "shim/core/python_walk.h"

#include <sys/mman.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "shim/base/guarded.h"
#include "test/unit/shim/fake_python.h"

namespace siprof::shim {
namespace {

struct Walked {
  std::vector<PythonFrame> frames;
  PythonWalkEnd end;
};

Walked walk(const FakePython& python, std::uint64_t state) {
  Walked walked;
  walked.frames.resize(kMaxPythonFrames);
  const PythonWalkResult result =
      python_walk(python.layout(), python.code_type(), state, walked.frames.data(), kMaxPythonFrames);
  walked.frames.resize(result.frames);
  walked.end = result.end;
  return walked;
}

TEST_CASE("a guarded load tells what can be read, to the last byte of a page") {
  const GuardHere guard;
  const FakePython python(fake_layouts().front());
  const std::uint64_t last = python.end() - 8;
  FakePython::put(last, std::uint64_t{0x1122334455667788});
  std::uint64_t word = 0;
  REQUIRE(load_word(last, &word));
  CHECK(word == 0x1122334455667788);
  CHECK_FALSE(load_word(python.end(), &word));
  CHECK(word == 0);
  CHECK_FALSE(load_word(0, &word));
  CHECK_FALSE(load_word(std::uint64_t{1} << 62, &word));  // no address at all
  std::uint16_t half = 0;
  REQUIRE(load_part(python.end() - 2, &half));
  CHECK(half == 0x1122);
  std::uint8_t byte = 0;
  REQUIRE(load_part(python.end() - 1, &byte));
  CHECK(byte == 0x11);
  CHECK_FALSE(load_part(python.end() - 3, &half));
  GuardedBytes bytes(python.end() - 3);
  for (const int expected : {0x33, 0x22, 0x11}) {
    REQUIRE(bytes.next(&byte));
    CHECK(byte == expected);
  }
  CHECK_FALSE(bytes.next(&byte));
}

TEST_CASE("all frames are found, with their instructions and the ends of calls") {
  const GuardHere guard;
  for (const PythonLayout& layout : fake_layouts()) {
    CAPTURE(layout.version);
    FakePython python(layout);
    const std::uint64_t inner = python.code(U"inner", U"a.py", 3, "");
    const std::uint64_t outer = python.code(U"outer", U"b.py", 5, "");
    std::vector<FakeFrame> frames = {{inner, 7, false}, {outer, 0, true}};
    if (layout.entry_kind == PythonEntry::kShim) frames.push_back({0, 0, false, true});
    frames.push_back({outer, 0x4321, true});
    if (layout.entry_kind == PythonEntry::kShim) frames.push_back({0, 0, false, true});
    const Walked walked = walk(python, python.thread_state(frames));
    CHECK(walked.end == PythonWalkEnd::kComplete);
    REQUIRE(walked.frames.size() == 3);
    CHECK(walked.frames[0].code == inner);
    CHECK(walked.frames[0].instruction == 7);
    CHECK(walked.frames[0].segment_end == (layout.entry_kind == PythonEntry::kEveryFrame));
    CHECK(walked.frames[1].code == outer);
    CHECK(walked.frames[1].instruction == 0);
    CHECK(walked.frames[1].segment_end);
    CHECK(walked.frames[2].instruction == 0x4321);
    CHECK(walked.frames[2].segment_end);
  }
}

TEST_CASE("a thread without frames has none") {
  const GuardHere guard;
  for (const PythonLayout& layout : fake_layouts()) {
    FakePython python(layout);
    const Walked walked = walk(python, python.thread_state({}));
    CHECK(walked.end == PythonWalkEnd::kComplete);
    CHECK(walked.frames.empty());
  }
}

TEST_CASE("a frame that has executed nothing has no instruction") {
  const GuardHere guard;
  for (const PythonLayout& layout : fake_layouts()) {
    CAPTURE(layout.version);
    FakePython python(layout);
    const std::uint64_t code = python.code(U"f", U"a.py", 1, "");
    const std::uint64_t state = python.thread_state({{code, 0, true}});
    // It is what was made last before the C variables and the state.
    std::uint64_t frame = 0;
    memcpy(&frame, reinterpret_cast<void*>(state + layout.top_frame), 8);
    if (layout.cframe_current != kNoOffset)
      memcpy(&frame, reinterpret_cast<void*>(frame + layout.cframe_current), 8);
    if (layout.instruction_kind == PythonInstruction::kPointer)
      FakePython::put(frame + layout.instruction, code + layout.code_bytes - 2);
    else
      FakePython::put(frame + layout.instruction, std::int32_t{-1});
    const Walked walked = walk(python, state);
    REQUIRE(walked.frames.size() == 1);
    CHECK(walked.frames[0].instruction == kPythonNoInstruction);
  }
}

TEST_CASE("C variables that are published before they are filled in give those before them") {
  const GuardHere guard;
  for (const std::uint64_t garbage : {std::uint64_t{2}, std::uint64_t{0x7f0000001008}, ~std::uint64_t{0}}) {
    for (const PythonLayout& layout : fake_layouts()) {
      if (layout.cframe_current == kNoOffset) continue;
      FakePython python(layout);
      const std::uint64_t code = python.code(U"f", U"a.py", 1, "");
      const std::uint64_t state = python.thread_state({{code, 4, true}});
      std::uint64_t before = 0;
      memcpy(&before, reinterpret_cast<void*>(state + layout.top_frame), 8);
      const std::uint64_t cframe = python.take(32);
      FakePython::put(cframe + layout.cframe_current, garbage);
      FakePython::put(cframe + layout.cframe_previous, before);
      FakePython::put(state + layout.top_frame, cframe);
      const Walked walked = walk(python, state);
      CHECK(walked.end == PythonWalkEnd::kComplete);
      REQUIRE(walked.frames.size() == 1);
      CHECK(walked.frames[0].instruction == 4);
    }
  }
}

TEST_CASE("what isn't a frame ends the walk, and what was found before it counts") {
  const GuardHere guard;
  for (const PythonLayout& layout : fake_layouts()) {
    CAPTURE(layout.version);
    FakePython python(layout);
    const std::uint64_t code = python.code(U"f", U"a.py", 1, "");
    const std::uint64_t no_code = python.text(U"text");
    const Walked walked = walk(python, python.thread_state({{code, 1, false}, {no_code, 2, true}}));
    CHECK(walked.end == PythonWalkEnd::kBroken);
    REQUIRE(walked.frames.size() == 1);
    CHECK(walked.frames[0].code == code);
    for (const std::uint64_t state : {std::uint64_t{0}, std::uint64_t{3}, python.end(), ~std::uint64_t{7}})
      CHECK(walk(python, state).end == PythonWalkEnd::kBroken);
  }
}

TEST_CASE("a chain that comes back to itself ends") {
  const GuardHere guard;
  for (const PythonLayout& layout : fake_layouts()) {
    for (const bool shims : {false, true}) {
      if (shims && layout.entry_kind != PythonEntry::kShim) continue;
      FakePython python(layout);
      const std::uint64_t code = python.code(U"f", U"a.py", 1, "");
      const std::uint64_t state = python.thread_state({{shims ? 0 : code, 1, false, shims}});
      std::uint64_t frame = 0;
      memcpy(&frame, reinterpret_cast<void*>(state + layout.top_frame), 8);
      if (layout.cframe_current != kNoOffset)
        memcpy(&frame, reinterpret_cast<void*>(frame + layout.cframe_current), 8);
      FakePython::put(frame + layout.previous, frame);
      const Walked walked = walk(python, state);
      CHECK(walked.frames.size() == (shims ? 0 : kMaxPythonFrames));
      CHECK(walked.end == (shims ? PythonWalkEnd::kBroken : PythonWalkEnd::kTooDeep));
    }
  }
}

// Words that lead somewhere, and some that don't.
std::uint64_t plausible(const FakePython& python, std::mt19937_64& random) {
  const std::uint64_t start = python.end() - FakePython::kBytes;
  switch (random() % 6) {
    case 0:
      return start + random() % FakePython::kBytes;
    case 1:
      return start + random() % python.used() / 16 * 16;
    case 2:
      return python.code_type();
    case 3:
      return random();
    case 4:
      return random() % 64;
    default:
      return python.end() - random() % 64 + 32;
  }
}

TEST_CASE("whatever memory holds, a walk ends within its bounds") {
  const GuardHere guard;
  std::mt19937_64 random(20);  // the same each time
  for (const PythonLayout& layout : fake_layouts()) {
    FakePython python(layout);
    const std::uint64_t code = python.code(U"f", U"a.py", 1, "table");
    const std::uint64_t state =
        python.thread_state(std::vector<FakeFrame>(40, FakeFrame{code, 9, false, false}));
    const std::vector<std::byte> whole(python.memory(), python.memory() + python.used());
    for (int round = 0; round < 3000; ++round) {
      memcpy(python.memory(), whole.data(), whole.size());
      for (std::uint64_t changes = 1 + random() % 40; changes != 0; --changes) {
        const std::uint64_t at = random() % (whole.size() / 8) * 8;
        FakePython::put(reinterpret_cast<std::uint64_t>(python.memory()) + at, plausible(python, random));
      }
      const Walked walked = walk(python, state);
      CHECK(walked.frames.size() <= kMaxPythonFrames);
      for (const PythonFrame& frame : walked.frames) CHECK(frame.instruction <= kPythonNoInstruction);
    }
    for (std::size_t i = 0; i < FakePython::kBytes / 8; ++i)
      FakePython::put(reinterpret_cast<std::uint64_t>(python.memory()) + 8 * i, plausible(python, random));
    for (int round = 0; round < 3000; ++round)
      CHECK(walk(python, plausible(python, random)).frames.size() <= kMaxPythonFrames);
  }
}

}  // namespace
}  // namespace siprof::shim
