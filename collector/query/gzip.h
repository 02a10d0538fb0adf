// SPDX-License-Identifier: Apache-2.0
// gzip of a whole string, for pprof files and for clients that want no gzip.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace siprof::collector {

enum class GzipLevel { kFast = 1, kSmall = 6 };

std::string gzip(absl::string_view bytes, GzipLevel level);

// Of bytes that this program compressed itself, so damage is a bug: empty then.
std::string gunzip(absl::string_view bytes);

}  // namespace siprof::collector
