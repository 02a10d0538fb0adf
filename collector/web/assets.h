// SPDX-License-Identifier: Apache-2.0
// The dashboard's files as they are built into siprof-collector. collector/http serves them: a GET of
// exactly `path` answers `body`, which is gzip (Content-Encoding: gzip), under content_security_policy().
// They hold no data, so they are served without a token: the page itself shows the login form when the
// API answers 401. The implementation is written by embed.mjs at build time.
#pragma once

#include <span>
#include <string_view>

namespace siprof::collector {

struct Asset {
  std::string_view path;          // "/" for the page, else "/assets/NAME-HASH.EXT"
  std::string_view content_type;  // with its charset
  std::string_view body;          // gzip
  bool immutable;                 // a hashed name, kept for good; else "no-cache"
};

// In order of path. Any thread.
std::span<const Asset> assets();

// The value of the Content-Security-Policy header that the page is tested under.
std::string_view content_security_policy();

}  // namespace siprof::collector
