// SPDX-License-Identifier: Apache-2.0
// gzip of a whole string, for pprof files and for clients that want no gzip.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace siprof::collector {

std::string gzip(absl::string_view bytes);

// Of bytes that this program compressed itself, so damage is a bug: empty then.
std::string gunzip(absl::string_view bytes);

}  // namespace siprof::collector
