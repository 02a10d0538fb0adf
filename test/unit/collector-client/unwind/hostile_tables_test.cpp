// SPDX-License-Identifier: Apache-2.0
// Files whose unwind tables are missing, or bent on purpose.
#include "collector-client/unwind/frame_rules.h"

#include <elf.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collector-client/symbolize/elf_image.h"
#include "collector-client/unwind/libunwind_step.h"
#include "test/unit/collector-client/unwind/elf_header.h"

namespace siprof::client {
namespace {

// A program of a header alone.
Module without_tables() {
  const Elf64_Ehdr header = elf_header();
  Module module;
  module.image = *ElfImage::copy(std::as_bytes(std::span(&header, 1)));
  return module;
}

std::vector<std::byte> own_program() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// Sets the return address column of every CIE of the usual form.
void set_return_column(std::vector<std::byte>& bytes, unsigned char column) {
  // Version, augmentation, code alignment 1, data alignment -8, column 16.
  for (const std::string_view start :
       {std::string_view("\1zR\0\1\x78\x10", 7), std::string_view("\1zPLR\0\1\x78\x10", 9)}) {
    const auto wanted = std::as_bytes(std::span(start));
    for (auto at = bytes.begin();
         (at = std::search(at, bytes.end(), wanted.begin(), wanted.end())) != bytes.end();)
      *(at += static_cast<std::ptrdiff_t>(start.size()) - 1) = static_cast<std::byte>(column);
  }
}

// A step out of the first instruction of a function of this program, whose tables say little.
StepResult step(const std::vector<std::byte>& program, std::uint64_t function, Registers& registers) {
  std::uint64_t words[64];
  for (std::uint64_t i = 0; i < std::size(words); ++i) words[i] = 0x1000 + i;
  CapturedStack stack;
  stack.bytes = std::as_bytes(std::span(words));
  stack.stack_start = 0x7ffd00000000;
  registers = {};
  registers[kRsp] = stack.stack_start;
  registers[kRip] = function;
  const auto image = ElfImage::copy(program);
  std::uint64_t beyond = 0;
  const StepInput input{.image = image->get(), .bias = 0, .lookup_address = function, .stack = &stack};
  return step_with_libunwind(input, registers, beyond);
}

}  // namespace

TEST_CASE("A file without unwind tables is counted once, however often it is asked") {
  FrameRulesCache rules;
  const Module bare = without_tables();
  const Module another = without_tables();
  for (std::uint64_t address = 0; address < 5; ++address) {
    CHECK(rules.find({&bare, address}).kind == FrameRule::Kind::kNone);
  }
  CHECK(rules.modules_without_tables() == 1);
  rules.find({&another, 0});
  CHECK(rules.modules_without_tables() == 2);
}

// libunwind takes the column for an index without a look.
TEST_CASE("A return address column that doesn't exist is never an index") {
  std::vector<std::byte> program = own_program();
  const auto function = reinterpret_cast<std::uint64_t>(&set_return_column);  // not position-independent
  Registers expected;
  REQUIRE(step(program, function, expected) == StepResult::kStepped);
  CHECK(expected[kRip] == 0x1000);
  set_return_column(program, 0x7f);
  REQUIRE(program != own_program());
  Registers registers;
  REQUIRE(step(program, function, registers) == StepResult::kStepped);
  CHECK(registers == expected);
}

}  // namespace siprof::client
