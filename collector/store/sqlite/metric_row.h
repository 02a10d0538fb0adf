// SPDX-License-Identifier: Apache-2.0
// Runtime metrics on their way into a day file: names replaced by ids of the catalogue, points in sets of
// equal labels. Used by the store's writer, inside the catalogue's transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "collector/store/sqlite/catalog_writer.h"
#include "collector/store/sqlite/metric_codec.h"
#include "collector/store/store.h"

namespace siprof::collector::sqlite {

// Column `kind` of the series that metrics belong to; no kind of profile has this name. Its `types` are "".
inline constexpr char kMetricsKind[] = "metrics";

struct MetricRow {
  Id series = 0;
  Id agent = 0;
  std::int64_t sequence = 0;
  std::int64_t start_ns = 0;
  std::int64_t duration_ns = 0;
  std::string points;           // MetricEncoder's
  std::vector<Id> metrics;      // strings metric_key(), ascending, each once
  std::vector<Id> label_texts;  // names and values, the same
};

// How a metric is called in the catalogue: "gauge\nprocess.memory.usage\nBy".
std::string metric_key(const MetricName& metric);
// Of a text that metric_key() made; else nothing.
std::optional<MetricName> parse_metric_key(absl::string_view key);

// Errors: INVALID_ARGUMENT (a line break in a name or unit, a value that isn't finite), and the catalogue's.
absl::StatusOr<MetricRow> make_row(const IncomingMetrics& incoming, CatalogWriter& catalog,
                                   MetricEncoder& encoder);

}  // namespace siprof::collector::sqlite
