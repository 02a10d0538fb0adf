// SPDX-License-Identifier: Apache-2.0
// Texts of others (names of programs, functions, threads; attributes) as protobuf and
// the strictest readers of pprof want them. Whoever takes such a text calls it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace siprof::client {

inline constexpr std::size_t kMaxNameBytes = 1024;

// Bytes that aren't UTF-8 become U+FFFD; longer than kMaxNameBytes is cut and
// ends in '~' and 16 hex digits of the whole text's hash, so that two long names
// stay two.
std::string presentable(std::string_view text);

}  // namespace siprof::client
