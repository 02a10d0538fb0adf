// SPDX-License-Identifier: Apache-2.0
// Call-frame information that would cost its reader gigabytes or hours, and what compilers write.
#include "collector-client/unwind/cfi_bounds.h"

#include <elf.h>
#include <fcntl.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "collector-client/unwind/frame_rules.h"
#include "collector-client/unwind/table_compiler.h"
#include "test/unit/collector-client/unwind/elf_header.h"

namespace siprof::client {
namespace {

template <class Number>
void put(std::string& bytes, const Number& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// One CIE as gcc writes it, then an entry for each program.
std::string eh_frame(const std::vector<std::string>& programs) {
  std::string bytes;
  const std::string cie("\1zR\0\1\x78\x10\1\x1b\x0c\7\x08\x90\1\0\0", 16);
  put(bytes, static_cast<std::uint32_t>(cie.size() + 4));
  put(bytes, std::uint32_t{0});
  bytes += cie;
  for (const std::string& program : programs) {
    put(bytes, static_cast<std::uint32_t>(13 + program.size()));
    put(bytes, static_cast<std::uint32_t>(bytes.size()));  // back to the CIE, which is at 0
    put(bytes, std::int32_t{0x1000});
    put(bytes, std::uint32_t{64});
    bytes += '\0';  // no augmentation
    bytes += program;
  }
  put(bytes, std::uint32_t{0});
  return bytes;
}

std::shared_ptr<const ElfImage> image_with(const std::string& section) {
  const std::string names("\0.eh_frame\0.names\0", 18);
  Elf64_Ehdr header = elf_header();
  header.e_shoff = sizeof header;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 3;
  header.e_shstrndx = 2;
  Elf64_Shdr sections[3] = {};
  const std::uint64_t data = sizeof header + sizeof sections;
  sections[1].sh_name = 1;
  sections[1].sh_type = SHT_PROGBITS;
  sections[1].sh_offset = data;
  sections[1].sh_size = section.size();
  sections[2].sh_name = 11;
  sections[2].sh_type = SHT_STRTAB;
  sections[2].sh_offset = data + section.size();
  sections[2].sh_size = names.size();
  std::string bytes;
  put(bytes, header);
  put(bytes, sections);
  bytes += section + names;
  auto image = ElfImage::copy(std::as_bytes(std::span(bytes)));
  REQUIRE(image.ok());
  return *image;
}

bool bounded(const std::vector<std::string>& programs) {
  return is_bounded_cfi(image_with(eh_frame(programs))->elf());
}

std::string times(std::size_t count, const std::string& what) {
  std::string bytes;
  while (count-- > 0) bytes += what;
  return bytes;
}

}  // namespace

TEST_CASE("What compilers write is bounded") {
  CHECK(bounded({std::string("\x41\x0e\x10\x86\2\x43\x0d\6", 8), times(1000, "\x0a\x41\x0b")}));
  // def_cfa_expression *(rbp - 8); rbp at rbp
  CHECK(bounded({std::string("\x0f\3\x76\x78\6\x10\6\2\x76\0", 10)}));
  for (const char* path : {"/lib/x86_64-linux-gnu/libc.so.6", "/proc/self/exe"}) {
    auto image = ElfImage::open(UniqueFd(::open(path, O_RDONLY | O_CLOEXEC)), nullptr);
    if (image.ok()) CHECK(is_bounded_cfi((*image)->elf()));
  }
}

TEST_CASE("States that are remembered without end aren't bounded") {
  CHECK(bounded({times(64, "\x0a")}));
  CHECK_FALSE(bounded({times(65, "\x0a")}));
}

TEST_CASE("Registers that don't exist aren't bounded") {
  CHECK(bounded({std::string("\5\xff\1\1", 4)}));
  CHECK_FALSE(bounded({std::string("\5\x80\2\1", 4)}));
  CHECK_FALSE(bounded({std::string("\x07\xf0\xff\xff\xff\x03", 6)}));
}

TEST_CASE("Programs that take long aren't bounded") {
  CHECK(bounded({std::string(200'000, '\0')}));
  CHECK_FALSE(bounded({std::string(300'000, '\0')}));
}

TEST_CASE("Expressions that fill memory aren't bounded") {
  const std::string expression = std::string("\x0f\x80\x80\x0c", 4) + std::string(3 * 65'536, '\x96');
  CHECK(bounded({expression, expression}));
  CHECK_FALSE(bounded(std::vector<std::string>(6, expression)));
}

TEST_CASE("Entries without the one that they refer to aren't bounded") {
  std::string section = eh_frame({std::string(4, '\0')});
  section[28] = 8;  // the entry's distance to its CIE
  CHECK_FALSE(is_bounded_cfi(image_with(section)->elf()));
}

TEST_CASE("Call-frame information that isn't bounded is as if it weren't there") {
  Module module;
  module.image = image_with(eh_frame({times(1000, "\x0a")}));
  FrameRulesCache rules;
  CHECK(rules.find({&module, 0x1040}).kind == FrameRule::Kind::kNone);
  CHECK(rules.modules_without_tables() == 1);
}

TEST_CASE("A table isn't made to its end when nobody wants it any more") {
  auto image = ElfImage::open(UniqueFd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), nullptr);
  REQUIRE(image.ok());
  int asked = 0;
  const auto table = compile_table(*image, [&] { return ++asked < 3; });
  CHECK(table.status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(asked == 3);
}

}  // namespace siprof::client
