// SPDX-License-Identifier: Apache-2.0
#include "collector-client/pprof/short_name.h"

#include <catch2/catch.hpp>

namespace siprof::client {

TEST_CASE("names lose template arguments, then parameters, then their end, and only as needed") {
  const auto [name, room, expected] = GENERATE(table<std::string, std::size_t, std::string>(
      {{"f(int)", 6, "f(int)"},
       {"std::map<int, std::vector<long> >::find(int const&)", 30, "std::map::find(int const&)"},
       {"std::map<int, std::vector<long> >::find(int const&)", 20, "std::map::find"},
       {"(anonymous namespace)::f(long, long)", 30, "(anonymous namespace)::f"},
       {"A<int>::operator()(int) const", 25, "A::operator()(int) const"},
       {"A<int>::operator<<(Stream<A<int> >&)", 20, "A::operator<<"},
       {"bool operator< <int>(A<int> const&)", 20, "bool operator< "},
       {"entry(int)::{lambda(int)#1}::operator()(int)", 40, "entry::{lambda#1}::operator()"},
       {"a_name_without_anything_to_drop", 20, "a_name_without_an..."},
       {"<<<<<<<<<<<<<<<<<<<<<<<<<", 20, "<<<<<<<<<<<<<<<<<..."}}));
  CHECK(short_name(name, room) == expected);
}

}  // namespace siprof::client
