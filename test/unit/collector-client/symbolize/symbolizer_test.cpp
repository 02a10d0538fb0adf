// SPDX-License-Identifier: Apache-2.0
// The symbolizer with a real worker process.
#include "collector-client/symbolize/symbolizer.h"

#include <fstream>

#include "collector-client/symbolize/symbol_table.h"
#include "test/unit/collector-client/symbolize/fixtures.h"

namespace siprof::client {
namespace {

using testing::fixture;

SymbolizerOptions options() {
  SymbolizerOptions result;
  result.worker_program = testing::environment("SYMBOL_WORKER");
  return result;
}

Module module_of(const std::string& file, const std::string& path,
                 std::shared_ptr<FileOpener> root = nullptr) {
  Module module;
  module.path = path;
  module.image = testing::open_image(file, std::move(root));
  module.build_id = module.image->build_id();
  return module;
}

// An address inside the exported C function of the fixtures.
std::uint64_t address_in_c_name(const Module& module) {
  SymbolTable table;
  table.add(*module.image);
  table.finish();
  for (const Segment& segment : module.image->segments()) {
    for (std::uint64_t at = segment.address; segment.executable && at < segment.address + segment.file_bytes;
         ++at) {
      const auto* symbol = table.find(at);
      if (symbol != nullptr && symbol->name == "c_name") return at + 4;
    }
  }
  FAIL("no c_name");
  return 0;
}

}  // namespace

TEST_CASE("The worker names addresses with file and line") {
  Symbolizer symbolizer(options());
  const Module module = module_of(fixture("libnames_full.so"), "/app/libnames_full.so");
  const CodeAddress address{&module, address_in_c_name(module)};
  symbolizer.prepare(std::vector<CodeAddress>{address});
  const auto& frames = symbolizer.frames(address);
  CHECK(frames.back().name == "c_name");
  CHECK(frames.back().file.ends_with("names.cpp"));
  CHECK(frames.back().line > 0);
  CHECK(frames.back().start_line > 0);
  CHECK(symbolizer.counters()["symbolizer_worker_starts"] == 1);
  const std::uint64_t cpu_ns = symbolizer.worker_cpu_ns();
  CHECK(cpu_ns > 0);
  symbolizer.trim();                                  // ends the worker
  CHECK(symbolizer.worker_cpu_ns() + 1000 > cpu_ns);  // told to the microsecond
  CHECK(symbolizer.counters()["symbolizer_worker_failures"] == 0);
}

TEST_CASE("A stripped file finds its debug file by build-id in the process's root") {
  const testing::TemporaryFolder root;
  Symbolizer symbolizer(options());
  const Module module = module_of(fixture("names_stripped.so"), "/app/names_stripped.so",
                                  std::make_shared<testing::FolderOpener>(root.path()));
  const std::string id = module.build_id;
  testing::write_all(
      root.path() + "/usr/lib/debug/.build-id/" + id.substr(0, 2) + "/" + id.substr(2) + ".debug",
      testing::read_all(fixture("names_full.debug")));
  CHECK(symbolizer.frames({&module, address_in_c_name(module)}).back().line > 0);
}

std::string build_id_file(const std::string& root, const std::string& id) {
  return root + "/usr/lib/debug/.build-id/" + id.substr(0, 2) + "/" + id.substr(2) + ".debug";
}

TEST_CASE("A debug file that dwz has taken apart names all that the whole one names") {
  if (!std::filesystem::exists(fixture("names_dwz.debug"))) {
    WARN("not checked: dwz isn't installed");
    return;
  }
  const testing::TemporaryFolder root;
  const std::string common_id = testing::open_image(fixture("names_common.debug"))->build_id();
  const Module module = module_of(fixture("names_stripped.so"), "/app/names_stripped.so",
                                  std::make_shared<testing::FolderOpener>(root.path()));
  const Module whole = module_of(fixture("libnames_full.so"), "/app/libnames_full.so");
  testing::write_all(build_id_file(root.path(), module.build_id),
                     testing::read_all(fixture("names_dwz.debug")));
  const std::string common = GENERATE(as<std::string>{}, "by build-id", "beside the file");
  testing::write_all(common == "by build-id" ? build_id_file(root.path(), common_id)
                                             : root.path() + "/app/names_common.debug",
                     testing::read_all(fixture("names_common.debug")));
  Symbolizer split(options());
  Symbolizer expected(options());
  const std::uint64_t start = address_in_c_name(module) - 64;
  std::size_t inlined = 0;
  for (std::uint64_t at = start; at < start + 640; ++at) {
    const auto& names = split.frames({&module, at});
    const auto& others = expected.frames({&whole, at});
    if (others.empty()) continue;  // between functions
    INFO(common << ", " << std::hex << at);
    REQUIRE(names.size() == others.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      CHECK(names[i].line == others[i].line);
      if (i + 1 < names.size())
        CHECK(names[i].name == others[i].name);  // the last one's is a symbol's in `others`
      CHECK(names[i].file == others[i].file);
    }
    inlined += names.size() > 1;
  }
  CHECK(inlined > 20);
}

TEST_CASE("Without the file that dwz shares symbols and lines are named still") {
  if (!std::filesystem::exists(fixture("names_dwz.debug"))) {
    WARN("not checked: dwz isn't installed");
    return;
  }
  const testing::TemporaryFolder root;
  const Module module = module_of(fixture("names_stripped.so"), "/app/names_stripped.so",
                                  std::make_shared<testing::FolderOpener>(root.path()));
  testing::write_all(build_id_file(root.path(), module.build_id),
                     testing::read_all(fixture("names_dwz.debug")));
  Symbolizer symbolizer(options());
  CHECK(symbolizer.frames({&module, address_in_c_name(module)}).back().name == "c_name");
  CHECK(symbolizer.counters()["symbolizer_worker_failures"] == 0);
}

TEST_CASE("A debug link is followed beside the file and in .debug, if its checksum is right") {
  for (const std::string folder : {"/app/", "/app/.debug/", "/usr/lib/debug/app/"}) {
    const testing::TemporaryFolder root;
    const Module module = module_of(fixture("names_linked.so"), "/app/names_linked.so",
                                    std::make_shared<testing::FolderOpener>(root.path()));
    const CodeAddress address{&module, address_in_c_name(module)};
    std::string debug = testing::read_all(fixture("names_linked.debug"));
    testing::write_all(root.path() + folder + "names_linked.debug", debug);
    CHECK(Symbolizer(options()).frames(address).back().line > 0);
    debug.back() = static_cast<char>(debug.back() ^ 1);
    testing::write_all(root.path() + folder + "names_linked.debug", debug);
    Symbolizer other(options());
    CHECK(other.frames(address).back().line == 0);
    CHECK(other.frames(address).back().name == "c_name");
    CHECK(other.counters()["symbolizer_debug_files_mismatched"] == 1);
    CHECK(other.counters()["symbolizer_debug_files_unusable"] == 0);
    testing::write_all(root.path() + folder + "names_linked.debug", "no ELF file");
    Symbolizer none(options());
    CHECK(none.frames(address).back().line == 0);
    CHECK(none.counters()["symbolizer_debug_files_mismatched"] == 0);
    CHECK(none.counters()["symbolizer_debug_files_unusable"] == 1);
  }
}

TEST_CASE("Code without a symbol has no name: a file's is none of a function") {
  Symbolizer symbolizer(options());
  const Module module = module_of(fixture("names_stripped.so"), "/app/libx.so.1");
  Module unreadable;
  unreadable.path = "/gone/liby.so";
  for (const Module* nameless : std::vector<const Module*>{&module, &unreadable, nullptr}) {
    CHECK(symbolizer.frames({nameless, 0x10}).empty());
  }
  const Module named = module_of(fixture("libnames_full.so"), "/app/libnames_full.so");
  const CodeAddress address{&named, address_in_c_name(named)};
  CHECK_FALSE(symbolizer.frames(address).empty());
}

TEST_CASE("A worker that cannot run or dies costs names, nothing else, and is counted") {
  const Module module = module_of(fixture("libnames_full.so"), "/app/libnames_full.so");
  for (const char* program : {"/nonexistent", "/bin/false"}) {
    SymbolizerOptions broken = options();
    broken.worker_program = program;
    Symbolizer symbolizer(broken);
    CHECK(symbolizer.frames({&module, address_in_c_name(module)}).empty());
    CHECK(symbolizer.counters()["symbolizer_worker_failures"] == 2);
    CHECK(symbolizer.counters()["symbolizer_worker_timeouts"] == 0);
  }
}

TEST_CASE("A worker that takes too long is ended, and symbol tables name what it could not") {
  const testing::TemporaryFolder folder;
  const std::string script = folder.path() + "/worker";
  // Hangs the first time, is the real worker afterwards.
  testing::write_all(script, "#!/bin/sh\nif [ ! -e " + folder.path() + "/ran ]; then : > " + folder.path() +
                                 "/ran; exec sleep 30; fi\nexec " + testing::environment("SYMBOL_WORKER") +
                                 " \"$@\"\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  SymbolizerOptions slow = options();
  slow.worker_program = script;
  slow.worker_timeout = absl::Milliseconds(700);
  Symbolizer symbolizer(slow);
  const Module module = module_of(fixture("libnames_full.so"), "/app/libnames_full.so");
  const auto& frames = symbolizer.frames({&module, address_in_c_name(module)});
  CHECK(frames.back().name == "c_name");
  CHECK(frames.back().line == 0);
  CHECK(symbolizer.counters()["symbolizer_worker_failures"] == 1);
  CHECK(symbolizer.counters()["symbolizer_worker_timeouts"] == 1);
}

TEST_CASE("Names survive on disk and need no worker the next time") {
  const testing::TemporaryFolder folder;
  const Module module = module_of(fixture("libnames_full.so"), "/app/libnames_full.so");
  const CodeAddress address{&module, address_in_c_name(module)};
  SymbolizerOptions with_disk = options();
  with_disk.cache_folder = folder.path() + "/symbols";
  const auto expected = Symbolizer(with_disk).frames(address).back();
  Symbolizer again(with_disk);
  CHECK(again.frames(address).back().name == expected.name);
  CHECK(again.frames(address).back().line == expected.line);
  CHECK(again.counters()["symbolizer_worker_starts"] == 0);
}

TEST_CASE("References to names stay good while others are resolved") {
  Symbolizer symbolizer(options());
  const Module module = module_of(fixture("libnames_full.so"), "/app/libnames_full.so");
  const auto& frames = symbolizer.frames({&module, address_in_c_name(module)});
  std::vector<CodeAddress> many;
  for (std::uint64_t at = 0x1000; at < 0x1800; ++at) many.push_back({&module, at});
  symbolizer.prepare(many);
  CHECK(frames.back().name == "c_name");
}

}  // namespace siprof::client
