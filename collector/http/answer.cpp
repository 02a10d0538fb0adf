// SPDX-License-Identifier: Apache-2.0
#include "collector/http/answer.h"

#include <nlohmann/json.hpp>

namespace siprof::collector {
namespace {

struct Mapped {
  int status;
  const char* code;
};

Mapped map(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return {400, "invalid_argument"};
    case absl::StatusCode::kUnauthenticated:
      return {401, "unauthenticated"};
    case absl::StatusCode::kNotFound:
      return {404, "not_found"};
    case absl::StatusCode::kResourceExhausted:
      return {429, "resource_exhausted"};
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kUnavailable:
      return {503, "unavailable"};
    default:
      return {500, "internal"};
  }
}

}  // namespace

int http_status(const absl::Status& status) {
  return map(status.code()).status;
}

std::string error_body(const absl::Status& status) {
  return error_body(map(status.code()).code, std::string(status.message()));
}

std::string error_body(const std::string& code, const std::string& message) {
  const nlohmann::json body = {{"error", {{"code", code}, {"message", message}}}};
  return body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace siprof::collector
