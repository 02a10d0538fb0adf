// SPDX-License-Identifier: Apache-2.0
// The hottest functions of a profile as a table for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "profile.pb.h"

namespace siprof::client {

struct FunctionTotal {
  std::string name;
  std::string file;
  std::int64_t self = 0;
  std::int64_t total = 0;  // a stack counts once, however often the function is in it
};

struct Summary {
  std::string type;
  std::string unit;
  std::int64_t total = 0;
  std::vector<FunctionTotal> functions;  // by falling self, then total
};

// `type` empty: the profile's default type. A type it doesn't have: empty summary.
// Frames without a name are called by their file: "[libfoo.so]".
Summary summarize(const perftools::profiles::Profile& profile, std::string_view type = {});

// "1.25s", "3.1MiB", "1204": a value in its unit.
std::string format_value(std::int64_t value, std::string_view unit);

// Lines of at most `width` columns, header first, at most `limit` functions.
std::string summary_table(const Summary& summary, std::size_t limit, std::size_t width = 100);

}  // namespace siprof::client
