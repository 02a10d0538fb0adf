// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/counter_merger.h"

#include <limits>
#include <tuple>

#include "collector/store/kinds.h"
#include "collector/store/sqlite/stack_codec.h"

namespace siprof::collector::sqlite {

absl::Status CounterMerger::add(absl::string_view counters, std::int64_t start_ns) {
  const absl::StatusOr<Counters> decoded = decode_counters(counters);
  if (!decoded.ok()) return decoded.status();
  for (const auto& [name, value] : *decoded) {
    const auto [slot, fresh] = counters_.try_emplace(name);
    Counter& counter = slot->second;
    if (__builtin_add_overflow(counter.sum, value, &counter.sum))
      counter.sum = std::numeric_limits<std::uint64_t>::max();
    // Series come one after another, so a later call may bring an earlier profile.
    if (fresh || std::tie(counter.last_start_ns, counter.last) < std::tie(start_ns, value)) {
      counter.last_start_ns = start_ns;
      counter.last = value;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, std::uint64_t>> CounterMerger::finish(const CatalogView& view) const {
  std::map<std::string, std::uint64_t> merged;
  for (const auto& [id, counter] : counters_) {
    const auto name_id = static_cast<std::int64_t>(id);
    if (!view.strings().contains(name_id))
      return absl::DataLossError("a stored profile has a counter whose name isn't in the catalogue");
    const std::string& name = view.strings()[name_id];
    merged.emplace(name, is_level_counter(name) ? counter.last : counter.sum);
  }
  return merged;
}

}  // namespace siprof::collector::sqlite
