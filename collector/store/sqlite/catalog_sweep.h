// SPDX-License-Identifier: Apache-2.0
// Takes out of the catalogue what no day file refers to any more: each start of
// an agent brings a run id, and with it a label set and series that would stay for ever.
// Called by the store's writer after days were removed; no batch is under way then.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "collector/store/sqlite/database.h"

namespace siprof::collector::sqlite {

enum class Sweep {
  kDo,
  kTry,  // changes nothing: how large would the catalogue be?
};

// `day_files`: all that stay. The catalogue's bytes afterwards.
// Errors: FAILED_PRECONDITION while a file of the first layout is among them, which
// doesn't say what it refers to; those of SQLite.
absl::StatusOr<std::int64_t> sweep_catalog(Database& catalog, std::span<const std::string> day_files,
                                           Sweep sweep);

}  // namespace siprof::collector::sqlite
