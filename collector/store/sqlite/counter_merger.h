// SPDX-License-Identifier: Apache-2.0
// Adds up the counters of many profiles: sums, and of levels the latest one's.
// Used by one query, on its thread, beside a StackMerger.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "collector/store/sqlite/catalog_view.h"

namespace siprof::collector::sqlite {

class CounterMerger {
 public:
  // In any order of `start_ns`. Errors: DATA_LOSS.
  absl::Status add(absl::string_view counters, std::int64_t start_ns);

  // `view` is locked and knows every name. Errors: DATA_LOSS.
  absl::StatusOr<std::map<std::string, std::uint64_t>> finish(const CatalogView& view) const;

 private:
  // Whether a name is a level is only known at the end, so both are kept.
  struct Counter {
    std::uint64_t sum = 0;
    std::uint64_t last = 0;
    std::int64_t last_start_ns = 0;
  };
  absl::flat_hash_map<std::uint64_t, Counter> counters_;  // by the name's id
};

}  // namespace siprof::collector::sqlite
