// SPDX-License-Identifier: Apache-2.0
// What a program is called for people: its file name, or its script's where the
// program is an interpreter.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace siprof::client {

// "python3.11" -> "python", "node" -> "node", …; empty for other programs.
std::string_view interpreter_family(std::string_view file_name);

// See resource.h.
std::string default_service(const std::string& executable, const std::vector<std::string>& arguments);

}  // namespace siprof::client
