// SPDX-License-Identifier: Apache-2.0
// "a=1&match=x%3Dy" into names and values. The HTTP library's own reader loses
// what stands before the last '=' of "match=service.version=1.2". Hostile input;
// fuzzed by test/fuzz/http_params_fuzz.cpp.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace siprof::collector {

// Decoded names and values.
using RawParams = std::multimap<std::string, std::string>;

// `target` is a request's path with its query. '+' is a space.
// Errors: INVALID_ARGUMENT (a '%' without two hex digits, too many parameters).
absl::StatusOr<RawParams> params_of_target(absl::string_view target);

}  // namespace siprof::collector
