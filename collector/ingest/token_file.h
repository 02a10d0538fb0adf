// SPDX-License-Identifier: Apache-2.0
// The tokens that agents may present: a file with one a line, `#` starts a comment
// line, reread when it changes so that tokens are added and revoked without a restart.
// Kept as SHA-256 only; compared in constant time.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace siprof::collector {

class TokenSet {
 public:
  // Errors: FAILED_PRECONDITION (others may read or write the file or its group write it, no token in
  // it, a line that can't be one), NOT_FOUND; one line naming the file and what to do.
  static absl::StatusOr<TokenSet> read(const std::string& path);

  // Takes the same time whichever token it is and however much of it is right.
  bool contains(std::string_view token) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  static Digest digest(std::string_view token);
  std::vector<Digest> digests_;
};

}  // namespace siprof::collector
