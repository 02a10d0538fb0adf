// SPDX-License-Identifier: Apache-2.0
#include "shim/core/maps.h"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

namespace siprof::shim {
namespace {

std::string own_program() {
  char path[4096] = {};
  return readlink("/proc/self/exe", path, sizeof(path) - 1) > 0 ? path : "";
}

TEST_CASE("of this program's mappings the executable ones are read, whole lines each") {
  std::vector<char> buffer(1 << 20);
  const MapsText maps = read_executable_maps(buffer.data(), buffer.size());
  CHECK(maps.complete);
  REQUIRE(maps.bytes > 0);
  std::istringstream lines(std::string(maps.text, maps.bytes));
  bool has_program = false;
  for (std::string line; std::getline(lines, line);) {
    CHECK(line.at(line.find(' ') + 3) == 'x');
    has_program |= line.ends_with(own_program());
  }
  CHECK(has_program);
}

TEST_CASE("mappings that don't fit are left out whole, and that is said") {
  std::vector<char> all(1 << 20);
  const std::size_t needed = read_executable_maps(all.data(), all.size()).bytes + 1;
  std::vector<char> exact(needed);
  CHECK(read_executable_maps(exact.data(), needed).complete);
  std::vector<char> less(needed - 1);
  const MapsText maps = read_executable_maps(less.data(), less.size());
  CHECK_FALSE(maps.complete);
  CHECK(maps.text[maps.bytes] == '\0');
  CHECK((maps.bytes == 0 || maps.text[maps.bytes - 1] == '\n'));
}

TEST_CASE("the path of an address is that of the mapping that holds it") {
  char text[] =
      "1000-2000 r-xp 00000000 00:00 0\n"
      "7f00-8000 r-xp 00000000 fe:01 77   /usr/lib/a b.so\n"
      "9000-a000 r-xp 00000000 00:00 0    [vdso]\n";
  const MapsText maps{text, sizeof(text) - 1, true, nullptr};
  char path[64];
  REQUIRE(path_at(maps, 0x7f00, path, sizeof(path)));
  CHECK(std::string(path) == "/usr/lib/a b.so");
  CHECK(path_at(maps, 0x7fff, path, sizeof(path)));
  CHECK_FALSE(path_at(maps, 0x8000, path, sizeof(path)));
  CHECK_FALSE(path_at(maps, 0x1000, path, sizeof(path)));
  CHECK_FALSE(path_at(maps, 0x9000, path, sizeof(path)));
  CHECK_FALSE(path_at(maps, 0x7f00, path, 15));  // one short of the path and its end
  CHECK(path_at(maps, 0x7f00, path, 16));
}

TEST_CASE("executable lines come with the place of their file's first byte") {
  std::vector<char> buffer(1 << 20);
  std::vector<std::uint64_t> headers(kMaxHeaders);
  const MapsText maps = read_executable_maps(buffer.data(), buffer.size(), headers.data());
  std::size_t lines = 0;
  std::size_t elf_files = 0;
  MapsLine line{};
  for (const char* at = maps.text; take_line(maps, &at, &line); ++lines) {
    INFO(std::string(at));
    CHECK(line.start < line.end);
    const std::uint64_t header = headers[lines];
    if (header == 0) continue;
    CHECK(line.has_file);
    CHECK(header <= line.start);
    CHECK(std::memcmp(reinterpret_cast<const void*>(header),
                      "\x7f"
                      "ELF",
                      4) == 0);
    ++elf_files;
  }
  CHECK(lines == static_cast<std::size_t>(std::count(maps.text, maps.text + maps.bytes, '\n')));
  CHECK(elf_files >= 3);  // this program, libc, the vDSO
}

TEST_CASE("this program finds its own path by an address of its own") {
  std::vector<char> buffer(1 << 20);
  const MapsText maps = read_executable_maps(buffer.data(), buffer.size());
  char path[4096];
  REQUIRE(path_at(maps, reinterpret_cast<std::uint64_t>(&own_program), path, sizeof(path)));
  CHECK(path == own_program());
}

}  // namespace
}  // namespace siprof::shim
