// SPDX-License-Identifier: Apache-2.0
#include "collector/http/send.h"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "collector/query/gzip.h"

namespace siprof::collector {
namespace {

using httplib::Request;
using httplib::Response;

constexpr std::size_t kGzipFromBytes = 1024;

bool takes_gzip(const Request& request) {
  return request.get_header_value("Accept-Encoding").find("gzip") != std::string::npos;
}

// By a provider of bytes: set_content() would compress them again, and with
// brotli's slowest level where the client knows brotli.
void send_bytes(std::string bytes, const std::string& content_type, Response& response) {
  const auto shared = std::make_shared<const std::string>(std::move(bytes));
  response.set_content_provider(shared->size(), content_type,
                                [shared](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
                                  return sink.write(shared->data() + offset, length);
                                });
}

}  // namespace

void set_error(Response& response, const absl::Status& status) {
  response.status = http_status(status);
  response.set_content(error_body(status), "application/json");
  if (response.status == 401) response.set_header("WWW-Authenticate", "Bearer realm=\"siprof\"");
}

void set_library_error(Response& response) {
  if (!response.body.empty()) return;
  switch (response.status) {
    case 404:
      return response.set_content(error_body("not_found", "there is nothing at this path"),
                                  "application/json");
    case 413:
    case 414:
    case 431:
      response.status = 413;
      return response.set_content(error_body("too_large", "the request is too long"), "application/json");
    case 500:
      return response.set_content(error_body("internal", "see the collector's log"), "application/json");
    default:
      response.status = 400;
      response.set_content(error_body("invalid_argument", "this is no HTTP request that is understood here"),
                           "application/json");
  }
}

const Asset* find_asset(const std::string& path) {
  const std::span<const Asset> all = assets();
  const auto found = std::ranges::find(all, path, &Asset::path);
  return found == all.end() ? nullptr : &*found;
}

void send_answer(Answer answer, const Request& request, Response& response) {
  response.set_header("Vary", "Accept-Encoding");
  const bool is_text = answer.content_type == "application/json";
  if (!is_text || answer.body.size() < kGzipFromBytes || !takes_gzip(request))
    return send_bytes(std::move(answer.body), answer.content_type, response);
  response.set_header("Content-Encoding", "gzip");
  send_bytes(gzip(answer.body, GzipLevel::kFast), answer.content_type, response);
}

void send_asset(const Asset& asset, const Request& request, Response& response) {
  response.set_header("Cache-Control", asset.immutable ? "public, max-age=31536000, immutable" : "no-cache");
  response.set_header("Vary", "Accept-Encoding");
  const std::string content_type(asset.content_type);
  if (!takes_gzip(request))
    return send_bytes(gunzip({asset.body.data(), asset.body.size()}), content_type, response);
  response.set_header("Content-Encoding", "gzip");
  send_bytes(std::string(asset.body), content_type, response);
}

}  // namespace siprof::collector
