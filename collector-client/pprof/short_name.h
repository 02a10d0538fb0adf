// SPDX-License-Identifier: Apache-2.0
// Function names for columns of a terminal: C++ names may be hundreds of characters long.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace siprof::client {

// `name` as it is where it fits into `room` bytes; else without template arguments, then
// without parameters, and cut at last.
std::string short_name(std::string_view name, std::size_t room);

}  // namespace siprof::client
