// SPDX-License-Identifier: Apache-2.0
// Interpreters among files: made ones, and those of this machine.
#include "collector-client/python/python_module.h"

#include <gelf.h>
#include <glob.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <random>

#include "collector-client/python/layouts.h"
#include "collector-client/symbolize/dynamic_symbols.h"
#include "test/unit/collector-client/symbolize/fixtures.h"

namespace siprof::client {
namespace {

using testing::fixture;
using testing::open_image;

Module module_of(const std::string& path) {
  Module module;
  module.path = path;
  module.image = open_image(path);
  return module;
}

std::unique_ptr<const PythonModule> find(const std::string& name) {
  return find_python(module_of(fixture(name)));
}

// Of .symtab, those whose names begin so.
std::vector<AddressRange> symbols(const ElfImage& image, std::string_view prefix) {
  std::vector<AddressRange> found;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(image.elf(), section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_SYMTAB) continue;
    Elf_Data* data = elf_getdata(section, nullptr);
    for (std::size_t i = 0; i < header.sh_size / header.sh_entsize; ++i) {
      GElf_Sym symbol;
      gelf_getsym(data, static_cast<int>(i), &symbol);
      const std::string_view name = elf_strptr(image.elf(), header.sh_link, symbol.st_name);
      if (name.starts_with(prefix)) found.push_back({symbol.st_value, symbol.st_value + symbol.st_size});
    }
  }
  return found;
}

std::vector<std::string> glob_of(const std::string& pattern) {
  std::vector<std::string> paths;
  glob_t found{};
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0)
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  return paths;
}

TEST_CASE("an interpreter is known by what it exports, its version by the value or the text") {
  const auto python = find("fake_311.so");
  REQUIRE(python != nullptr);
  CHECK(python->trouble == "");
  CHECK(python->version == "3.11.2");
  CHECK(python->layout == find_layout(python_version(3, 11)));
  CHECK(python->current_state != 0);
  CHECK(python->is_finalizing != 0);
  const auto image = open_image(fixture("fake_311.so"));
  const DynamicSymbols symbols(*image);
  CHECK(python->this_thread_state == symbols.find("PyGILState_GetThisThreadState")->address);
  CHECK(python->code_type == symbols.find("PyCode_Type")->address);

  CHECK(find("libpython3.9.so")->version == "3.9.18");
  CHECK(find("libpython3.9.so")->layout == find_layout(python_version(3, 9)));
  // Its file's name doesn't tell.
  CHECK(find("fake_310.so")->version == "3.10.13");
  CHECK(find_python(module_of("/proc/self/exe")) == nullptr);
}

TEST_CASE("what can't be read is said in words") {
  CHECK(find("fake_unknown.so")->trouble == "this siprof doesn't know version 3.99.1");
  CHECK(find("fake_beta.so")->trouble == "version 3.12.0b2 isn't a released one");
  CHECK(find("fake_free.so")->trouble == "it is a free-threaded build");
  CHECK(find("fake_313_other.so")->trouble == "it doesn't describe itself as this version does");
  CHECK(find("fake_no_code.so")->trouble == "it doesn't export PyCode_Type");
  CHECK(find("fake_silent.so")->trouble == "its version can't be found out");
  for (const char* name : {"fake_unknown.so", "fake_free.so", "fake_silent.so"})
    CHECK(find(name)->layout == nullptr);
  CHECK(find("fake_313.so")->trouble == "");
  CHECK(find("fake_313.so")->current_state == 0);
}

TEST_CASE("symbols are found in stripped files as in others, those of others aren't") {
  for (const char* name : {"fake_311.so", "fake_stripped.so", "fake_sysv.so"}) {
    const auto image = open_image(fixture(name));
    const DynamicSymbols symbols(*image);
    INFO(name);
    CHECK(symbols.find("_PyRuntime"));
    CHECK(symbols.find("_PyEval_EvalFrameDefault")->bytes > 50);
    CHECK_FALSE(symbols.find("pthread_cond_timedwait"));
    CHECK_FALSE(symbols.find("_PyRuntimeX"));
    CHECK_FALSE(symbols.find(""));
    CHECK_FALSE(symbols.slots_of("pthread_cond_timedwait").empty());
    CHECK(symbols.slots_of("pthread_cond_wait").empty());
  }
  CHECK(DynamicSymbols(*open_image(fixture("libpython3.9.so"))).soname() == "libpython3.9.so");
}

TEST_CASE("parts that were split off from the evaluation function are its own, also without symbols") {
  const std::vector<AddressRange> parts =
      symbols(*open_image(fixture("fake_311.so")), "_PyEval_EvalFrameDefault");
#ifdef __clang__
  REQUIRE(!parts.empty());  // it splits nothing
#else
  REQUIRE(parts.size() == 2);  // with .cold
#endif
  const auto stripped = find("fake_stripped.so");
  for (const AddressRange& part : parts) {
    CHECK(contains(stripped->evaluation, part.start));
    CHECK(contains(stripped->evaluation, part.end - 1));
    CHECK_FALSE(contains(stripped->evaluation, part.end));
  }
  CHECK(stripped->evaluation.size() == parts.size());
}

TEST_CASE("the call that waits for the GIL is known, by a stub or directly") {
  for (const char* name : {"fake_311.so", "fake_no_plt.so", "fake_stripped.so"}) {
    INFO(name);
    const auto python = find(name);
    REQUIRE(python->gil_waits.size() == 1);
    const auto image = open_image(fixture("fake_311.so"));
    if (std::string_view(name) == "fake_no_plt.so") continue;
    const std::vector<AddressRange> function = symbols(*image, "take_gil");
    REQUIRE(function.size() == 1);
    CHECK(function[0].contains(python->gil_waits[0].start));
    CHECK(function[0].contains(python->gil_waits[0].end - 1));
  }
}

TEST_CASE("the interpreters of this machine are found with all that belongs to them") {
  const char* home = getenv("HOME");
  std::vector<std::string> paths = glob_of("/usr/bin/python3.[0-9]*[0-9]");
  for (const std::string& path :
       glob_of(std::string(home != nullptr ? home : "") + "/.pyenv/versions/3.*/lib/libpython3.*.so.1.0"))
    paths.push_back(path);
  for (const std::string& path : paths) {
    INFO(path);
    const Module module = module_of(path);
    const auto python = find_python(module);
    if (python == nullptr || !python->trouble.empty()) continue;  // older than 3.8, or newer than the table
    CHECK(std::count(python->version.begin(), python->version.end(), '.') == 2);
    CHECK(path.find(python->version.substr(0, python->version.rfind('.'))) != std::string::npos);
    CHECK_FALSE(python->gil_waits.empty());
    CHECK(python->gil_waits.size() < 20);
    // Exactly the symbols that name it, where there are some. Of an instruction or two that nothing can reach
    // compilers make a part as well; nothing jumps there.
    std::vector<AddressRange> parts = symbols(*module.image, "_PyEval_EvalFrameDefault");
    std::erase_if(parts, [](const AddressRange& part) { return part.end - part.start < 16; });
    std::ranges::sort(parts, {}, &AddressRange::start);
    if (!parts.empty()) CHECK(python->evaluation == parts);
  }
}

TEST_CASE("damaged files end a search, not the agent") {
  const std::string whole = testing::read_all(fixture("fake_311.so"));
  std::mt19937 random(7);
  for (int run = 0; run < 2000; ++run) {
    std::string bytes = whole;
    for (int i = 0; i < 20; ++i) {
      const std::size_t at = random() % (run % 2 == 0 ? 0x1000 : bytes.size() - 8);
      const std::uint64_t value = random() % 3 == 0 ? ~std::uint64_t{0} : random();
      std::memcpy(bytes.data() + at, &value, 1 + random() % 8);
    }
    Module module;
    module.path = "damaged";
    const auto image = ElfImage::copy(std::as_bytes(std::span(bytes.data(), bytes.size())));
    if (!image.ok()) continue;
    module.image = *image;
    find_python(module);
    DynamicSymbols(**image).slots_of("pthread_cond_timedwait");
  }
}

}  // namespace
}  // namespace siprof::client
