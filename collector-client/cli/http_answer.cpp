// SPDX-License-Identifier: Apache-2.0
// Reads an HTTP/1.1 answer that ended with the connection, and writes queries.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "collector-client/base/text.h"
#include "collector-client/cli/http_get.h"

namespace siprof::client {
namespace {

absl::Status no_http(const char* what) {
  return absl::DataLossError(
      absl::StrCat("the server's answer is no HTTP (", what, "): is this the collector's HTTP port?"));
}

// The value of a header, lower-case; empty: it isn't there.
std::string header(std::string_view head, std::string_view name) {
  for (std::string_view line : split(head, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    if (absl::AsciiStrToLower(to_absl(trim(line.substr(0, colon)))) == name) {
      return absl::AsciiStrToLower(to_absl(trim(line.substr(colon + 1))));
    }
  }
  return "";
}

absl::StatusOr<std::string> unchunk(std::string_view bytes) {
  std::string body;
  for (;;) {
    const std::size_t line = bytes.find("\r\n");
    if (line == std::string_view::npos) return no_http("cut off");
    const std::string_view digits = trim(bytes.substr(0, std::min(line, bytes.find(';'))));
    std::uint64_t size = 0;
    if (digits.size() > 15 || !absl::SimpleHexAtoi(to_absl(digits), &size)) return no_http("bad chunk");
    bytes.remove_prefix(line + 2);
    if (size == 0) return body;
    if (bytes.size() < size + 2) return no_http("cut off");
    body.append(bytes.substr(0, size));
    bytes.remove_prefix(size + 2);
  }
}

}  // namespace

absl::StatusOr<HttpAnswer> parse_http_answer(std::string_view bytes) {
  const std::size_t head_end = bytes.find("\r\n\r\n");
  if (!bytes.starts_with("HTTP/1.") || head_end == std::string_view::npos) return no_http("no head");
  const std::string_view head = bytes.substr(0, head_end);
  const std::string_view body = bytes.substr(head_end + 4);
  HttpAnswer answer;
  const std::vector<std::string_view> words = split(head.substr(0, head.find("\r\n")), ' ');
  if (words.size() < 2 || !absl::SimpleAtoi(to_absl(words[1]), &answer.status)) return no_http("no status");
  if (header(head, "transfer-encoding") == "chunked") {
    absl::StatusOr<std::string> plain = unchunk(body);
    if (!plain.ok()) return plain.status();
    answer.body = *std::move(plain);
    return answer;
  }
  std::uint64_t length = body.size();
  const std::string stated = header(head, "content-length");
  if (!stated.empty() && (!absl::SimpleAtoi(stated, &length) || length > body.size()))
    return no_http("cut off");
  answer.body = std::string(body.substr(0, length));
  return answer;
}

std::string query_string(const std::vector<std::pair<std::string, std::string>>& parameters) {
  std::string query;
  for (const auto& [name, value] : parameters) {
    if (value.empty()) continue;
    absl::StrAppend(&query, query.empty() ? "?" : "&", name, "=");
    for (char c : value) {
      if (absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~') {
        query.push_back(c);
      } else {
        absl::StrAppend(&query, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
      }
    }
  }
  return query;
}

}  // namespace siprof::client
