// SPDX-License-Identifier: Apache-2.0
// Compiled into the program itself, the lookup starts after the program in the
// loader's list: just as dlsym(RTLD_NEXT) called from here.
#include "shim/base/elf_lookup.h"

#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <string>

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

// A function with two versions. libtsan defines the first one without any, which is every version.
struct Versioned {
  const char* name;
  const char* old_version;
  const char* default_version;
};
constexpr Versioned kVersioned[] = {
#ifndef __SANITIZE_THREAD__
    {"pthread_cond_wait", "GLIBC_2.2.5", "GLIBC_2.3.2"},
#endif
    {"sched_setaffinity", "GLIBC_2.3.3", "GLIBC_2.3.4"}};

TEST_CASE("a version that is asked for is the one that dlvsym(RTLD_NEXT) finds") {
  for (const Versioned& function : kVersioned) {
    for (const char* version : {function.old_version, function.default_version}) {
      INFO(function.name << " " << version);
      void* expected = dlvsym(RTLD_NEXT, function.name, version);
      REQUIRE(expected != nullptr);
      CHECK(next_definition(function.name, version) == expected);
      CHECK((next_definition(function.name) == expected) == (version == function.default_version));
    }
  }
}

TEST_CASE("a version that no module has is not found") {
  for (const Versioned& function : kVersioned)
    CHECK(next_definition(function.name, "GLIBC_2.2.4") == nullptr);
#ifndef __SANITIZE_THREAD__
  CHECK(next_definition("fork", "GLIBC_2.3.2") == nullptr);
#endif
}

}  // namespace
}  // namespace siprof::shim
