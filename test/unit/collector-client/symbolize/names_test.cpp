// SPDX-License-Identifier: Apache-2.0
// Every instruction of the fixtures is called what addr2line -Cfi calls it.
#include <catch2/catch.hpp>
#include <sstream>

#include "collector-client/symbolize/file_symbols.h"
#include "test/unit/collector-client/symbolize/fixtures.h"

namespace siprof::client {
namespace {

constexpr char kRun[] = "outer::Worker::run(int, double) const";
constexpr char kHidden[] = "outer::(anonymous namespace)::hidden(int)";

constexpr char kHiddenInline[] =
    "outer::(anonymous namespace)::hidden_inline(int, char const*, unsigned long)";

using testing::fixture;
using testing::open_image;

std::string run(const std::string& command) {
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  for (int c; (c = std::fgetc(pipe)) != EOF;) output.push_back(static_cast<char>(c));
  REQUIRE(pclose(pipe) == 0);
  return output;
}

// "name" and "file:line" of each frame, innermost first.
using Lines = std::vector<std::pair<std::string, std::string>>;

// One answer per address; "-a" prints each address before its frames.
std::vector<Lines> addr2line(const std::string& file, const std::vector<std::uint64_t>& addresses) {
  std::ostringstream command;
  command << "addr2line -aCfie " << file << std::hex;
  for (const std::uint64_t address : addresses) command << " 0x" << address;
  std::istringstream output(run(command.str()));
  std::vector<Lines> answers;
  for (std::string name, place; std::getline(output, name);) {
    if (name.starts_with("0x")) {
      answers.emplace_back();
      continue;
    }
    REQUIRE(std::getline(output, place));
    place = place.substr(0, place.find(" (discriminator"));
    answers.back().emplace_back(name, place.substr(place.rfind('/') + 1));
  }
  REQUIRE(answers.size() == addresses.size());
  return answers;
}

// Up to the parenthesis that the last one closes.
std::string without_parameters(const std::string& name) {
  int open = 0;
  for (std::size_t at = name.rfind(')'); at != std::string::npos && at-- > 0;) {
    open += name[at] == ')';
    if (name[at] == '(' && open-- == 0) return name.substr(0, at);
  }
  return name;
}

// addr2line leaves scope and parameters out where there is no linkage name.
bool same_name(const std::string& ours, const std::string& theirs) {
  if (ours == theirs || ours.starts_with(theirs + "::{lambda")) return true;
  const std::string plain = without_parameters(ours);
  return plain == theirs || plain.ends_with("::" + theirs);
}

// How many addresses were inside inlined functions.
std::size_t compare(const std::string& path, std::shared_ptr<const ElfImage> file,
                    std::shared_ptr<const ElfImage> debug, std::pair<std::uint64_t, std::uint64_t> range) {
  FileSymbols symbols(std::move(file), std::move(debug), nullptr, /*use_dwarf=*/true);
  std::vector<std::uint64_t> addresses;
  for (std::uint64_t address = range.first; address < range.second; ++address) addresses.push_back(address);
  const std::vector<Lines> answers = addr2line(path, addresses);
  std::size_t inlined = 0;
  for (std::size_t at = 0; at < addresses.size(); ++at) {
    const Lines& expected = answers[at];
    const std::vector<SourceFrame> frames = symbols.frames(addresses[at]);
    INFO(std::hex << addresses[at]);
    REQUIRE(frames.size() == expected.size());
    for (std::size_t i = 0; i < frames.size(); ++i) {
      INFO("ours " << frames[i].name << " addr2line " << expected[i].first);
      // Without a linkage name addr2line may show the compiled function's symbol instead.
      const bool symbol_instead =
          i == 0 && frames[i].name == kHiddenInline && expected[i].first == frames.back().name;
      CHECK((symbol_instead || same_name(frames[i].name, expected[i].first)));
      const std::string line = frames[i].line == 0 ? "?" : std::to_string(frames[i].line);
      CHECK(frames[i].file.substr(frames[i].file.rfind('/') + 1) + ":" + line == expected[i].second);
    }
    inlined += frames.size() > 1;
  }
  return inlined;
}

std::pair<std::uint64_t, std::uint64_t> range_of(const std::string& path, const std::string& symbol) {
  std::istringstream output(run("nm -CS " + path));
  for (std::string line; std::getline(output, line);) {
    std::uint64_t start = 0;
    std::uint64_t size = 0;
    char type = 0;
    int at = 0;
    if (std::sscanf(line.c_str(), "%lx %lx %c %n", &start, &size, &type, &at) == 3 &&
        line.substr(at) == symbol) {
      return {start, start + size};
    }
  }
  FAIL(symbol << " is not in " << path);
  return {};
}

}  // namespace

TEST_CASE("Names, lines and inlined frames equal addr2line's in a shared library") {
  const std::string path = fixture("libnames_full.so");
  std::size_t inlined = 0;
  for (const char* function : {"entry(int)", "c_name", kRun, kHidden, "only_here(int, int const*)"}) {
    inlined += compare(path, open_image(path), nullptr, range_of(path, function));
  }
  CHECK(inlined > 20);
}

TEST_CASE("Names equal addr2line's in a program at a fixed address") {
  const std::string path = fixture("names_program");
  CHECK(compare(path, open_image(path), nullptr, range_of(path, kRun)) > 0);
}

TEST_CASE("A stripped file with its debug file is named as the whole one") {
  const std::string path = fixture("libnames_full.so");
  CHECK(compare(path, open_image(fixture("names_stripped.so")), open_image(fixture("names_full.debug")),
                range_of(path, kRun)) > 0);
}

TEST_CASE("A function is called by its exported name, not by the library's own") {
  const std::string path = fixture("libnames_full.so");
  FileSymbols symbols(open_image(path), nullptr, nullptr, /*use_dwarf=*/true);
  const std::vector<SourceFrame> frames = symbols.frames(range_of(path, "exported_name").first);
  REQUIRE(!frames.empty());
  CHECK(frames.back().name == "exported_name");
  CHECK(frames.back().system_name == "exported_name");
}

TEST_CASE("Functions have scope and parameter types, also where DWARF has no linkage name") {
  const std::string path = fixture("libnames_full.so");
  FileSymbols symbols(open_image(path), nullptr, nullptr, /*use_dwarf=*/true);
  std::vector<std::string> names;
  for (const char* function : {"c_name", "entry(int)", kRun, kHidden}) {
    const auto [from, to] = range_of(path, function);
    for (std::uint64_t address = from; address < to; ++address) {
      for (const SourceFrame& frame : symbols.frames(address)) names.push_back(frame.name);
    }
  }
#ifdef __clang__
  constexpr const char* kLambda =
      "entry(int)::$_0::operator()(int) const";  // it gives local ones linkage names
#else
  constexpr const char* kLambda = "entry(int)::{lambda(int)}::operator()(int)";
#endif
  for (const char* expected : {"c_name", kRun, "outer::Recursive<3>::go(int)", "outer::Recursive<0>::go(int)",
                               kLambda, "outer::Worker::Worker(int)", kHidden, kHiddenInline}) {
    INFO(expected);
    CHECK(std::find(names.begin(), names.end(), expected) != names.end());
  }
}

TEST_CASE("A PLT stub is named after the function it jumps to") {
  const std::string path = fixture("libnames_full.so");
  FileSymbols symbols(open_image(path), nullptr, nullptr, /*use_dwarf=*/false);
  SymbolTable table;
  const auto image = open_image(path);
  table.add_plt(*image);
  table.finish();
  REQUIRE(table.size() > 0);
  std::istringstream output(run("objdump -d " + path));
  std::uint64_t address = 0;
  for (std::string line; std::getline(output, line);) {
    if (line.find("<puts@plt>:") != std::string::npos) address = std::stoull(line, nullptr, 16);
  }
  REQUIRE(address != 0);
  REQUIRE(symbols.frames(address).size() == 1);
  CHECK(symbols.frames(address)[0].name == "puts@plt");
}

TEST_CASE("Without debug information symbols name functions, and what no symbol covers has no name") {
  const std::string path = fixture("libnames_full.so");
  FileSymbols with(open_image(path), nullptr, nullptr, /*use_dwarf=*/false);
  FileSymbols stripped(open_image(fixture("names_stripped.so")), nullptr, nullptr, /*use_dwarf=*/true);
  const auto [exported, exported_end] = range_of(path, "c_name");
  const auto [local, local_end] = range_of(path, "outer::(anonymous namespace)::hidden(int)");
  CHECK(with.frames(local + 1).at(0).name == "outer::(anonymous namespace)::hidden(int)");
  CHECK(stripped.frames(exported + 1).at(0).name == "c_name");
  CHECK(stripped.frames(exported + 1).at(0).line == 0);
  CHECK(stripped.frames(local + 1).empty());
}

TEST_CASE("Mini debug information names the functions that no other table of the file names") {
  const std::string path = fixture("libnames_full.so");
  FileSymbols mini(open_image(fixture("names_mini.so")), nullptr, nullptr, /*use_dwarf=*/true);
  for (const char* function : {"c_name", kRun, kHidden, "only_here(int, int const*)"}) {
    INFO(function);
    const auto [from, to] = range_of(path, function);
    REQUIRE(mini.frames(from).size() == 1);
    CHECK(mini.frames(from)[0].name == function);
    CHECK(mini.frames(to - 1).at(0).name == function);
  }
}

TEST_CASE("Mini debug information that is damaged names nothing and harms nothing") {
  const std::string whole = testing::read_all(fixture("names_mini.so"));
  const std::size_t packed = whole.find(
      "\xfd"
      "7zXZ");
  REQUIRE(packed != std::string::npos);
  const testing::TemporaryFolder folder;
  const auto [from, to] = range_of(fixture("libnames_full.so"), kHidden);
  const auto [exported, end] = range_of(fixture("libnames_full.so"), "c_name");
  for (std::size_t at = packed; at < packed + 400; at += 7) {
    std::string broken = whole;
    broken[at] = static_cast<char>(broken[at] ^ 0x55);
    testing::write_all(folder.path() + "/broken.so", broken);
    FileSymbols symbols(open_image(folder.path() + "/broken.so"), nullptr, nullptr, /*use_dwarf=*/true);
    CHECK(symbols.frames(exported).at(0).name == "c_name");
    CHECK(symbols.frames(from).empty());
  }
}

}  // namespace siprof::client
