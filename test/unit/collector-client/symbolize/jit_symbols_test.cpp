// SPDX-License-Identifier: Apache-2.0
#include "collector-client/symbolize/jit_symbols.h"

#include "test/unit/collector-client/symbolize/fixtures.h"

namespace siprof::client {

TEST_CASE("JIT code is named by the perf map in the process's root") {
  const testing::TemporaryFolder root;
  testing::write_all(
      root.path() + "/tmp/perf-77.map",
      "7f0000001000 40 py::first\nbroken line\n0x7f0000002000 0x10 with spaces (int)\n7f00 zz x\n"
      "7f0000001000 20 py::second\n");
  JitSymbols symbols;
  const Module* module = symbols.add(77, std::make_shared<testing::FolderOpener>(root.path()));
  CHECK(module->path == "[anon]");
  symbols.refresh(module);
  CHECK(symbols.find(module, 0x7f0000001000) == "py::second");
  CHECK(symbols.find(module, 0x7f000000101f) == "py::second");
  CHECK(symbols.find(module, 0x7f0000001020) == "");
  CHECK(symbols.find(module, 0x7f0000002008) == "with spaces (int)");
  CHECK(symbols.find(module, 0) == "");
}

TEST_CASE("A perf map that grew is read again") {
  const testing::TemporaryFolder root;
  const std::string path = root.path() + "/tmp/perf-1.map";
  testing::write_all(path, "1000 10 one\n");
  JitSymbols symbols;
  const Module* module = symbols.add(1, std::make_shared<testing::FolderOpener>(root.path()));
  symbols.refresh(module);
  testing::write_all(path, "1000 10 one\n2000 10 two\n");
  symbols.refresh(module);
  CHECK(symbols.find(module, 0x2000) == "two");
}

TEST_CASE("Two processes with the same addresses keep their own names") {
  const testing::TemporaryFolder root;
  testing::write_all(root.path() + "/tmp/perf-1.map", "1000 10 one\n");
  testing::write_all(root.path() + "/tmp/perf-2.map", "1000 10 two\n");
  const auto opener = std::make_shared<testing::FolderOpener>(root.path());
  JitSymbols symbols;
  const Module* first = symbols.add(1, opener);
  const Module* second = symbols.add(2, opener);
  symbols.refresh(first);
  symbols.refresh(second);
  CHECK(symbols.find(first, 0x1000) == "one");
  CHECK(symbols.find(second, 0x1000) == "two");
}

TEST_CASE("A process keeps its module while it is asked for, and loses it some windows later") {
  JitSymbols symbols;
  const Module* module = symbols.add(1, nullptr);
  symbols.refresh(module);
  CHECK(symbols.find(module, 0x1000) == "");
  for (int window = 0; window < 20; ++window) {
    symbols.release(module);
    symbols.trim();
    CHECK(symbols.add(1, nullptr) == module);
  }
  symbols.release(module);
  for (int window = 0; window < 20; ++window) symbols.trim();
  CHECK_FALSE(symbols.knows(module));
}

}  // namespace siprof::client
