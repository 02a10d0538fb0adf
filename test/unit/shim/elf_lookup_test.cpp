// SPDX-License-Identifier: Apache-2.0
// Compiled into the program itself, the lookup starts after the program in the
// loader's list: just as dlsym(RTLD_NEXT) called from here.
#include "shim/base/elf_lookup.h"

#include <dlfcn.h>

#include <catch2/catch.hpp>

namespace siprof::shim {
namespace {

TEST_CASE("the next definition is the one that dlsym(RTLD_NEXT) finds") {
  // Functions, one behind an indirect function, one with two versions, one of another library.
  const auto name =
      GENERATE("fork", "sigaction", "strlen", "pthread_cond_wait", "pthread_create", "_Unwind_Resume");
  INFO(name);
  void* expected = dlsym(RTLD_NEXT, name);
  REQUIRE(expected != nullptr);
  CHECK(next_definition(name) == expected);
}

TEST_CASE("a symbol that nobody defines, and one that isn't a function, are not found") {
  CHECK(next_definition("siprof_defined_nowhere") == nullptr);
  CHECK(next_definition("environ") == nullptr);
  CHECK(next_definition("") == nullptr);
}

}  // namespace
}  // namespace siprof::shim
