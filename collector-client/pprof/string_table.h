// SPDX-License-Identifier: Apache-2.0
// The string table of one profile: "" at 0, each text once, valid and bounded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "collector-client/base/presentable.h"
#include "profile.pb.h"

namespace siprof::client {

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
