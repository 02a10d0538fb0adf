// SPDX-License-Identifier: Apache-2.0
// A profile on its way into a day file: names replaced by ids of the catalogue,
// samples summed by stack and kept label (is_kept_label), which is a node on top of the
// stack. Other labels (pid, thread) are dropped here: the store answers per service and resource attribute.
// Used by the store's writer, inside the catalogue's transaction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "collector/store/sqlite/catalog_writer.h"
#include "collector/store/sqlite/stack_codec.h"
#include "collector/store/store.h"

namespace siprof::collector::sqlite {

struct ProfileRow {
  Id service = 0;
  Id series = 0;
  Id agent = 0;
  std::int64_t sequence = 0;
  std::int64_t start_ns = 0;
  std::int64_t duration_ns = 0;
  std::int64_t period = 0;
  std::vector<std::int64_t> totals;  // per sample type
  std::string stacks;                // StackEncoder's
  std::string counters;
  std::vector<std::uint32_t> stack_ids;
  std::vector<Id> counter_names;
};

// "samples/count,cpu/nanoseconds;cpu/nanoseconds": what a series is told apart by
// besides its labels. The period isn't in it: rates change while a program runs.
std::string types_key(const perftools::profiles::Profile& profile);

// Errors: INVALID_ARGUMENT (more than kMaxTypes types, an index out of range, a
// negative value), and those of the catalogue.
absl::StatusOr<ProfileRow> make_row(const IncomingProfile& incoming, CatalogWriter& catalog,
                                    StackEncoder& encoder);

}  // namespace siprof::collector::sqlite
