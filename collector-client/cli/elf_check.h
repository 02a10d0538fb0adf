// SPDX-License-Identifier: Apache-2.0
// Can the dynamic loader preload a library into this file?
#pragma once

#include <string>
#include <string_view>

namespace siprof::client {

// Empty: yes. Else why not, for people. `start` is the beginning of the file
// (enough of it to hold the program headers).
std::string why_not_preloadable(std::string_view start);

// Whether the program at `path` has a function `name` of its own that libraries are bound to, too.
bool exports_function(const std::string& path, std::string_view name);

}  // namespace siprof::client
