// SPDX-License-Identifier: Apache-2.0
// Counters as profile comments: "siprof.NAME=VALUE", one a line.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace siprof::client {

std::string counter_comment(std::string_view name, std::uint64_t value);
// None: the comment isn't a counter.
std::optional<std::pair<std::string, std::uint64_t>> parse_counter_comment(std::string_view comment);

// Counters with such names are levels (rates in force, sizes), of which the
// last one counts; all others are sums. By the unit at the name's end:
// _hz, _interval_bytes, _interval_ns, _permille, _rss_bytes.
bool is_level_counter(std::string_view name);

// Adds `more` to `sums`, levels replaced.
void add_counters(std::map<std::string, std::uint64_t>* sums,
                  const std::map<std::string, std::uint64_t>& more);

}  // namespace siprof::client
