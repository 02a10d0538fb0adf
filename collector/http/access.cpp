// SPDX-License-Identifier: Apache-2.0
#include "collector/http/access.h"

#include <arpa/inet.h>

#include <spdlog/spdlog.h>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"

namespace siprof::collector {
namespace {

constexpr char kCookie[] = "siprof_token";
// How long a revoked token may still work.
constexpr absl::Duration kReread = absl::Seconds(1);
constexpr int kCookieSeconds = 30 * 86400;

// "host:port" or "[v6]:port" without the port.
std::string host_of(absl::string_view header) {
  if (absl::StartsWith(header, "[")) return std::string(header.substr(1, header.find(']') - 1));
  return std::string(header.substr(0, header.find(':')));
}

bool names_an_address(absl::string_view header) {
  const std::string host = absl::AsciiStrToLower(host_of(header));
  in6_addr address;
  return host == "localhost" || absl::EndsWith(host, ".localhost") ||
         ::inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

std::string token_in_cookie(absl::string_view header) {
  for (absl::string_view part : absl::StrSplit(header, ';')) {
    part = absl::StripAsciiWhitespace(part);
    std::string token;
    if (absl::ConsumePrefix(&part, absl::StrCat(kCookie, "=")) && absl::WebSafeBase64Unescape(part, &token))
      return token;
  }
  return "";
}

}  // namespace

Access::Access(std::string tokens_file, bool any_host, std::shared_ptr<const TokenSet> tokens)
    : tokens_file_(std::move(tokens_file)),
      any_host_(any_host),
      tokens_(std::move(tokens)),
      looked_(absl::Now()) {}

absl::StatusOr<std::unique_ptr<Access>> Access::open(const std::string& tokens_file, bool any_host) {
  std::shared_ptr<const TokenSet> tokens;
  if (!tokens_file.empty()) {
    absl::StatusOr<TokenSet> read = TokenSet::read(tokens_file);
    if (!read.ok()) return read.status();
    tokens = std::make_shared<const TokenSet>(*std::move(read));
  }
  return std::unique_ptr<Access>(new Access(tokens_file, any_host, std::move(tokens)));
}

// A file that can't be read any more revokes nothing: an editor may be at it.
std::shared_ptr<const TokenSet> Access::current() const {
  const std::lock_guard lock(mutex_);
  if (absl::Now() - looked_ < kReread) return tokens_;
  looked_ = absl::Now();
  absl::StatusOr<TokenSet> read = TokenSet::read(tokens_file_);
  if (read.ok())
    tokens_ = std::make_shared<const TokenSet>(*std::move(read));
  else
    spdlog::warn("the web tokens stay as they were: {}", std::string(read.status().message()));
  return tokens_;
}

bool Access::is_token(const std::string& token) const {
  return wants_token() && !token.empty() && current()->contains(token);
}

absl::Status Access::check(const std::string& authorization, const std::string& cookie,
                           const std::string& host) const {
  if (!wants_token()) {
    if (any_host_ || names_an_address(host)) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "without --web-tokens the collector answers under an address or localhost only: open it as "
        "http://127.0.0.1:PORT, or start it with --web-tokens");
  }
  absl::string_view bearer = authorization;
  if (bearer.size() > 7 && absl::EqualsIgnoreCase(bearer.substr(0, 7), "Bearer ")) {
    if (is_token(std::string(absl::StripAsciiWhitespace(bearer.substr(7))))) return absl::OkStatus();
  } else if (is_token(token_in_cookie(cookie))) {
    return absl::OkStatus();
  }
  return absl::UnauthenticatedError(
      "a token of --web-tokens is needed: send \"Authorization: Bearer TOKEN\" or log in");
}

std::string Access::cookie_for(const std::string& token, bool secure) {
  return absl::StrCat(kCookie, "=", absl::WebSafeBase64Escape(token), "; Path=/; Max-Age=", kCookieSeconds,
                      "; HttpOnly; SameSite=Strict", secure ? "; Secure" : "");
}

}  // namespace siprof::collector
