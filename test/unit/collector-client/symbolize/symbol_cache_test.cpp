// SPDX-License-Identifier: Apache-2.0
#include "collector-client/symbolize/symbol_cache.h"

#include <sys/stat.h>

#include "test/unit/collector-client/symbolize/fixtures.h"

namespace siprof::client {
namespace {

SymbolCache::Entries some_entries(int count) {
  SymbolCache::Entries entries;
  for (int i = 0; i < count; ++i) {
    entries[static_cast<std::uint64_t>(i)] = {{"f" + std::to_string(i), "_Zf", "f.cpp", i, 1},
                                              {"g", "g", "", 0, 0}};
  }
  return entries;
}

}  // namespace

TEST_CASE("Names come back from disk as they were stored") {
  const testing::TemporaryFolder folder;
  SymbolCache cache(folder.path() + "/symbols", 1 << 20);
  REQUIRE(cache.store("abc-1", some_entries(100)).ok());
  SymbolCache again(folder.path() + "/symbols", 1 << 20);
  const auto entries = again.load("abc-1");
  REQUIRE(entries.size() == 100);
  CHECK(entries.at(42).at(0).name == "f42");
  CHECK(entries.at(42).at(0).line == 42);
  CHECK(entries.at(42).size() == 2);
  CHECK(again.load("other").empty());
  CHECK(again.damaged_files() == 0);
}

TEST_CASE("Any damaged byte and any missing end make a cache file void") {
  const testing::TemporaryFolder folder;
  SymbolCache cache(folder.path(), 1 << 20);
  REQUIRE(cache.store("k", some_entries(3)).ok());
  const std::string whole = testing::read_all(folder.path() + "/k");
  std::uint64_t tries = 0;
  for (std::size_t i = 0; i < whole.size(); i += 3, tries += 2) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x40);
    testing::write_all(folder.path() + "/k", damaged);
    CHECK(cache.load("k").empty());
    testing::write_all(folder.path() + "/k", whole.substr(0, i));
    CHECK(cache.load("k").empty());
  }
  CHECK(cache.damaged_files() == tries);
  testing::write_all(folder.path() + "/renamed", whole);
  CHECK(cache.load("renamed").empty());
}

TEST_CASE("What is no file in the cache's folder is not waited for") {
  const testing::TemporaryFolder folder;
  REQUIRE(::mkfifo((folder.path() + "/k").c_str(), 0600) == 0);
  CHECK(SymbolCache(folder.path(), 1 << 20).load("k").empty());
}

TEST_CASE("The files used longest ago go first when the cache is full") {
  const testing::TemporaryFolder folder;
  SymbolCache measure(folder.path(), 1 << 20);
  REQUIRE(measure.store("a", some_entries(15)).ok());
  // Room for two and a half.
  SymbolCache cache(folder.path(), std::filesystem::file_size(folder.path() + "/a") * 5 / 2);
  const auto set_age = [&](const std::string& name, int minutes) {
    std::filesystem::last_write_time(
        folder.path() + "/" + name,
        std::filesystem::file_time_type::clock::now() - std::chrono::minutes(minutes));
  };
  for (const char* name : {"a", "b", "c"}) REQUIRE(cache.store(name, some_entries(15)).ok());
  set_age("a", 30);
  set_age("b", 20);
  set_age("c", 10);
  CHECK(cache.load("a").size() == 15);  // used just now
  REQUIRE(cache.trim().ok());
  CHECK(std::filesystem::exists(folder.path() + "/a"));
  CHECK_FALSE(std::filesystem::exists(folder.path() + "/b"));
}

TEST_CASE("A folder that cannot be made is an error, not a crash") {
  SymbolCache cache("/proc/none/symbols", 1 << 20);
  CHECK_FALSE(cache.store("k", some_entries(1)).ok());
  CHECK(cache.load("k").empty());
}

}  // namespace siprof::client
