// SPDX-License-Identifier: Apache-2.0
// The string table of one profile: "" at 0, each text once, valid and bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "profile.pb.h"

namespace siprof::client {

inline constexpr std::size_t kMaxNameBytes = 1024;

// Bytes that aren't UTF-8 become U+FFFD; longer than kMaxNameBytes is cut and
// ends in '~' and 16 hex digits of the whole text's hash, so that two long names
// stay two.
std::string presentable(std::string_view text);

class StringTable {
 public:
  explicit StringTable(perftools::profiles::Profile* profile) : profile_(profile) {
    profile_->add_string_table("");
  }

  std::int64_t add(std::string_view text);

 private:
  perftools::profiles::Profile* profile_;
  absl::flat_hash_map<std::string, std::int64_t> ids_;
};

}  // namespace siprof::client
