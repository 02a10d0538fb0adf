// SPDX-License-Identifier: Apache-2.0
// The parameters of a request, checked: docs/http-api.md. Hostile input; fuzzed
// by test/fuzz/http_params_fuzz.cpp. Any thread, no state.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "collector/http/query_string.h"
#include "collector/query/top.h"
#include "collector/store/reader.h"

namespace siprof::collector {

// What of it a path understands; the rest keeps its default.
struct Params {
  Selection selection;
  std::string type;
  std::string name;         // of a metric; empty: all of them
  std::int64_t step_s = 0;  // 0: not given
  std::string by;
  std::size_t nodes = 8192;
  bool labels = false;
  std::size_t limit = 100;
  SortBy sort = SortBy::kSelf;
};

// `known` are the names that this path takes. `service` is required where
// `match` is known. Errors: INVALID_ARGUMENT, naming the parameter.
absl::StatusOr<Params> parse_params(const RawParams& raw, std::initializer_list<absl::string_view> known,
                                    std::int64_t now_ns);

// Seconds of a chart's step for a range: the given one if it makes sense, else range / 300 rounded up.
absl::StatusOr<std::int64_t> choose_step(std::int64_t given_s, TimeRange range);

// Printable UTF-8: no control character, so nothing that fools a log or a terminal.
bool is_plain_text(absl::string_view text);

}  // namespace siprof::collector
