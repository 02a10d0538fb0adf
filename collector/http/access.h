// SPDX-License-Identifier: Apache-2.0
// Who may read: tokens of --web-tokens, as a bearer or in the dashboard's cookie.
// Asked for every request, from the server's threads.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "collector/ingest/token_file.h"

namespace siprof::collector {

class Access {
 public:
  // Empty `tokens_file`: no tokens. Then only requests that name this machine by
  // an address or as localhost are let through (unless `any_host`): a foreign web page
  // whose name was made to point here can't give such a name.
  static absl::StatusOr<std::unique_ptr<Access>> open(const std::string& tokens_file, bool any_host);

  // The values of the headers Authorization, Cookie and Host ("" where there is none).
  // Errors: UNAUTHENTICATED, INVALID_ARGUMENT (the host).
  absl::Status check(const std::string& authorization, const std::string& cookie,
                     const std::string& host) const;

  bool is_token(const std::string& token) const;
  bool wants_token() const { return !tokens_file_.empty(); }

  // The value of Set-Cookie that makes later requests carry `token`.
  static std::string cookie_for(const std::string& token, bool secure);

 private:
  Access(std::string tokens_file, bool any_host, std::shared_ptr<const TokenSet> tokens);
  std::shared_ptr<const TokenSet> current() const;

  const std::string tokens_file_;
  const bool any_host_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const TokenSet> tokens_;
  mutable absl::Time looked_;
};

}  // namespace siprof::collector
