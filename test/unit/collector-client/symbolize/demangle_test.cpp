// SPDX-License-Identifier: Apache-2.0
#include "collector-client/symbolize/demangle.h"

#include <catch2/catch.hpp>

namespace siprof::client {

TEST_CASE("C++, Rust and D names are readable, C names stay") {
  CHECK(demangle("_ZN1R2goEi") == "R::go(int)");
  CHECK(demangle("_Z3bigv") == "big()");
  CHECK(demangle("_ZN4core3fmt5write17h0123456789abcdefE") == "core::fmt::write");
  CHECK(demangle("_RNvC6_123foo3bar") == "123foo::bar");
  CHECK(demangle("_D4test3fooFiZv") == "test.foo(int)");
  CHECK(demangle("qsort") == "qsort");
  CHECK(demangle("main") == "main");
  CHECK(demangle("_start") == "_start");
}

TEST_CASE("Names of types are readable, what is cut or no C++ stays") {
  CHECK(demangle_type("St13runtime_error") == "std::runtime_error");
  CHECK(demangle_type("i") == "int");
  CHECK(demangle_type("PKc") == "char const*");
  CHECK(demangle_type("N12_GLOBAL__N_13OwnE") == "(anonymous namespace)::Own");
  CHECK(demangle_type("N5boost6detail") == "N5boost6detail");
  CHECK(demangle_type("") == "");
}

TEST_CASE("Versions and the marks of compiler clones are dropped") {
  CHECK(demangle("memcpy@@GLIBC_2.14") == "memcpy");
  CHECK(demangle("qsort.part.0") == "qsort");
  CHECK(demangle("_Z3foov.constprop.0.isra.1") == "foo()");
  CHECK(demangle("_Z3foov.part.0.cold") == "foo()");
  CHECK(demangle("foo.lto_priv.12") == "foo");
  CHECK(demangle("foo.llvm.1234567890") == "foo");
}

TEST_CASE("Dots that are no clone marks stay") {
  CHECK(demangle("my.function") == "my.function");
  CHECK(demangle("main.init.0") == "main.init.0");
  CHECK(demangle(".cold") == ".cold");
  CHECK(demangle("") == "");
}

TEST_CASE("Garbage and endless names come out bounded") {
  CHECK(demangle("_Z" + std::string(100000, 'P')).size() <= 1024);
  CHECK(demangle(std::string(5000, 'a')).size() == 1024);
  CHECK(demangle("_ZN") == "_ZN");
}

TEST_CASE("A type's name of some hundred bytes that stands for terabytes is cut off") {
  // a<b,b>, then c<that,that>, and so on: each level doubles it.
  std::string name = "1aI1bS_E";
  std::string levels;
  for (int i = 0; i < 48; ++i) levels += "1aI";
  name = levels + "1b";
  for (int i = 0; i < 48; ++i)
    name += std::string("S") +
            (i == 0 ? "" : std::string(1, i <= 10 ? char('0' + i - 1) : char('A' + i - 11))) + "_E";
  CHECK(demangle_type(name).size() <= 1024);
  CHECK(demangle_type("St13runtime_error") == "std::runtime_error");
  CHECK(demangle_type("no type") == "no type");
  CHECK(demangle_type("") == "");
  CHECK(demangle_type(std::string(100000, 'P')).size() <= 1024);
}

}  // namespace siprof::client
