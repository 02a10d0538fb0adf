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

}  // namespace siprof::client
