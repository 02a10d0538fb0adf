// SPDX-License-Identifier: Apache-2.0
// What the API says, before it is HTTP: a body, or an absl::Status that becomes
// the contract's error object.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace siprof::collector {

struct Answer {
  std::string content_type = "application/json";
  std::string body;
};

// 400, 401, 404, 413, 429 or 503; anything else is a bug and a 500.
int http_status(const absl::Status& status);

// {"error": {"code": …, "message": …}}
std::string error_body(const absl::Status& status);
std::string error_body(const std::string& code, const std::string& message);

}  // namespace siprof::collector
