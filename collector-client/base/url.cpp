// SPDX-License-Identifier: Apache-2.0
// Reads the few forms of URL that name a collector.
#include "collector-client/base/url.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "collector-client/base/text.h"

namespace siprof::client {
namespace {

absl::Status bad_url(std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", to_absl(text), "' is no address: write http://HOST:PORT or https://HOST:PORT"));
}

bool is_host_character(char c) {
  return c > ' ' && c != '/' && c != '@' && c != '?' && c != '#' && c != 0x7f;
}

}  // namespace

std::string Url::authority() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  return is_v6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

absl::StatusOr<Url> parse_url(std::string_view text, std::uint16_t default_port) {
  Url url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    url.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return bad_url(text);
  }
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  url.path = std::string(rest.substr(slash));
  rest = rest.substr(0, slash);
  std::size_t host_end = rest.find(':');
  if (rest.starts_with('[')) {
    host_end = rest.find(']');
    if (host_end == std::string_view::npos) return bad_url(text);
    url.host = std::string(rest.substr(1, host_end - 1));
    ++host_end;
  } else {
    host_end = std::min(host_end, rest.size());
    url.host = std::string(rest.substr(0, host_end));
  }
  if (url.host.empty() || !std::all_of(url.host.begin(), url.host.end(), is_host_character))
    return bad_url(text);
  std::uint32_t port = default_port;
  const std::string_view port_text = rest.substr(host_end);
  if (!port_text.empty() && (port_text[0] != ':' || !absl::SimpleAtoi(to_absl(port_text.substr(1)), &port) ||
                             port == 0 || port > 65535)) {
    return bad_url(text);
  }
  url.port = static_cast<std::uint16_t>(port);
  return url;
}

}  // namespace siprof::client
