// SPDX-License-Identifier: Apache-2.0
// Tables are made once, in the background, and a process can open what it is told.
#include "collector-client/unwind/table_builder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include "collector-client/symbolize/elf_image.h"
#include "proto/siprof/unwind_tables.h"
#include "test/unit/collector-client/symbolize/fixtures.h"

namespace siprof::client {
namespace {

Module module_of(const char* path) {
  Module module;
  module.path = path;
  auto image = ElfImage::open(UniqueFd(::open(path, O_RDONLY | O_CLOEXEC)), nullptr);
  REQUIRE(image.ok());
  module.image = *image;
  return module;
}

std::uint32_t wait_for(TableBuilder& tables, const Module& module) {
  for (int i = 0; i < 2000 && tables.place_of(&module) == 0; ++i, usleep(10'000)) tables.generation();
  return tables.place_of(&module);
}

std::vector<std::byte> table_at(const TableBuilder& tables, std::uint32_t place) {
  const UniqueFd file(::open(tables.arena()->path().c_str(), O_RDONLY | O_CLOEXEC));
  const std::uint64_t at = std::uint64_t{place} * kArenaAlignment;
  std::vector<std::byte> bytes(tables.arena()->bytes() - at);
  REQUIRE(::pread(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(at)) ==
          static_cast<ssize_t>(bytes.size()));
  return bytes;
}

}  // namespace

TEST_CASE("a module's table is made once and lies in the arena") {
  TableBuilder tables;
  REQUIRE(tables.arena() != nullptr);
  const Module libc = module_of("/lib/x86_64-linux-gnu/libc.so.6");
  CHECK(tables.place_of(&libc) == 0);
  const std::uint32_t place = wait_for(tables, libc);
  REQUIRE(place != 0);
  const std::uint64_t generation = tables.generation();
  const std::uint64_t bytes = tables.arena()->bytes();
  CHECK(tables.place_of(&libc) == place);
  CHECK(tables.generation() == generation);
  CHECK(tables.arena()->bytes() == bytes);

  const UniqueFd file(::open(tables.arena()->path().c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(file);
  ArenaHeader header{};
  REQUIRE(::pread(file.get(), &header, sizeof header, 0) == sizeof header);
  CHECK(header.magic == kArenaMagic);
  CHECK(header.id == tables.arena()->id());
  CHECK((::fcntl(file.get(), F_GET_SEALS) & F_SEAL_SHRINK) != 0);
  UnwindTable table{};
  REQUIRE(::pread(file.get(), &table, sizeof table, off_t{place} * kArenaAlignment) == sizeof table);
  CHECK(table.rows == tables.rows());
}

TEST_CASE("a module that is gone is forgotten, also while its table is made") {
  TableBuilder tables;
  const Module first = module_of("/lib/x86_64-linux-gnu/libc.so.6");
  const Module second = module_of("/usr/lib/x86_64-linux-gnu/libstdc++.so.6");
  tables.place_of(&first);
  tables.place_of(&second);
  tables.forget({&first, &second});
  const Module again = module_of("/bin/sh");
  CHECK(wait_for(tables, again) != 0);
  CHECK(tables.place_of(&first) == 0);  // asked for anew
  CHECK(wait_for(tables, first) != 0);
}

TEST_CASE("a module that comes back has the table that it had") {
  TableBuilder tables;
  const Module libc = module_of("/lib/x86_64-linux-gnu/libc.so.6");
  tables.place_of(&libc);
  const std::uint32_t place = wait_for(tables, libc);
  const std::uint64_t bytes = tables.arena()->bytes();
  tables.forget({&libc});
  CHECK(tables.place_of(&libc) == 0);
  CHECK(wait_for(tables, libc) == place);
  CHECK(tables.arena()->bytes() == bytes);
}

TEST_CASE("tables come from disk the next time, if nothing is wrong with them") {
  const testing::TemporaryFolder folder;
  const Module libc = module_of("/lib/x86_64-linux-gnu/libc.so.6");
  const std::string file = folder.path() + "/" + libc.image->cache_key();
  std::vector<std::byte> table;
  std::uint64_t rows = 0;
  {
    std::atomic<int> made = 0;
    TableBuilder first({.cache_folder = folder.path(), .made = [&] { ++made; }});
    table = table_at(first, wait_for(first, libc));
    rows = first.rows();
    CHECK(made == 1);
  }
  const std::string kept = testing::read_all(file);
  REQUIRE(kept.size() > table.size());
  std::uint64_t loaded = 0;
  SECTION("unchanged") {
    loaded = 1;
  }
  SECTION("damaged") {
    std::string damaged = kept;
    damaged[kept.size() / 2] ^= 1;
    testing::write_all(file, damaged);
  }
  SECTION("cut") {
    testing::write_all(file, kept.substr(0, kept.size() / 2));
  }
  SECTION("gone") {
    std::filesystem::remove(file);
  }
  TableBuilder second({.cache_folder = folder.path()});
  CHECK(table_at(second, wait_for(second, libc)) == table);
  CHECK(second.rows() == rows);
  CHECK(second.loaded() == loaded);
}

TEST_CASE("a folder that can't be written to is no reason to have no tables") {
  TableBuilder tables({.cache_folder = "/proc/nowhere"});
  const Module libc = module_of("/lib/x86_64-linux-gnu/libc.so.6");
  CHECK(wait_for(tables, libc) != 0);
}

TEST_CASE("tables that two threads append don't lie on each other") {
  auto arena = *TableArena::make();
  const auto append = [&](int value, std::vector<std::uint32_t>* places) {
    const std::vector<std::byte> table(200, static_cast<std::byte>(value));
    for (int i = 0; i < 5000; ++i) places->push_back(*arena->append(table));
  };
  std::vector<std::uint32_t> places[2];
  std::thread other(append, 1, &places[0]);
  append(2, &places[1]);
  other.join();
  const UniqueFd file(::open(arena->path().c_str(), O_RDONLY | O_CLOEXEC));
  for (const int value : {1, 2}) {
    for (const std::uint32_t place : places[value - 1]) {
      std::array<std::byte, 200> bytes{};
      REQUIRE(::pread(file.get(), bytes.data(), bytes.size(), off_t{place} * kArenaAlignment) ==
              static_cast<ssize_t>(bytes.size()));
      REQUIRE(std::ranges::count(bytes, static_cast<std::byte>(value)) == bytes.size());
    }
  }
}

TEST_CASE("files without call-frame information and code without a file have no table") {
  TableBuilder tables;
  CHECK(tables.place_of(nullptr) == 0);
  Module anonymous;
  anonymous.path = "[anon]";
  CHECK(tables.place_of(&anonymous) == 0);
}

}  // namespace siprof::client
