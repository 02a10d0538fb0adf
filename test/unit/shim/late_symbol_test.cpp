// SPDX-License-Identifier: Apache-2.0
// Where a throw goes on at. Plugins that bring runtimes of their own are in
// test/preload/victims/throw_runtimes.c.
#include "shim/core/late_symbol.h"

#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <cstdint>

#include "shim/core/unmaps.h"

namespace siprof::shim {
namespace {

std::uint64_t here() {
  return reinterpret_cast<std::uint64_t>(__builtin_return_address(0));
}

TEST_CASE("what the program came with is found, and found again after code was unmapped") {
  LateSymbol symbol;
  void* expected = dlsym(RTLD_NEXT, "__cxa_rethrow");
  REQUIRE(expected != nullptr);
  CHECK(symbol.find("__cxa_rethrow", here()) == expected);
  CHECK(symbol.find("__cxa_rethrow", here()) == expected);
  begin_unmap();
  CHECK(symbol.find("__cxa_rethrow", here()) == expected);
  end_unmap();
  CHECK(symbol.find("__cxa_rethrow", here()) == expected);
}

TEST_CASE("what nobody defines is null") {
  LateSymbol symbol;
  CHECK(symbol.find("siprof_no_such_function", here()) == nullptr);
}

}  // namespace
}  // namespace siprof::shim
