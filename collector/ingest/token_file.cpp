// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/token_file.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace siprof::collector {
namespace {

constexpr off_t kMaxFileBytes = 1 << 20;
constexpr std::size_t kMaxTokenBytes = 4'096;

// The descriptor that is checked is the one that is read: the name could be exchanged in between.
absl::Status check_mode(int fd, const std::string& path) {
  struct stat info;
  if (fstat(fd, &info) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("can't look at token file ", path));
  if (!S_ISREG(info.st_mode))
    return absl::FailedPreconditionError(absl::StrCat("token file ", path, " isn't a regular file"));
  // Who may write it may add a token; a group may read it, as the collector's own under systemd does.
  if (info.st_mode & (S_IROTH | S_IWOTH)) {
    return absl::FailedPreconditionError(
        absl::StrCat("token file ", path, " can be read or written by every user: chmod o-rw ", path));
  }
  if (info.st_mode & S_IWGRP) {
    return absl::FailedPreconditionError(
        absl::StrCat("token file ", path, " can be written by its group: chmod g-w ", path));
  }
  if (info.st_size > kMaxFileBytes) {
    return absl::FailedPreconditionError(
        absl::StrCat("token file ", path, " is larger than ", kMaxFileBytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> read_private_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("can't open token file ", path));
  const absl::Cleanup close_fd = [fd] { close(fd); };
  if (auto status = check_mode(fd, path); !status.ok()) return status;
  std::string content(kMaxFileBytes, '\0');
  std::size_t used = 0;
  while (used < content.size()) {
    const ssize_t got = ::read(fd, content.data() + used, content.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("can't read token file ", path));
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
  }
  content.resize(used);
  return content;
}

bool is_token(std::string_view text) {
  return text.size() <= kMaxTokenBytes &&
         std::ranges::all_of(text, [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); });
}

}  // namespace

TokenSet::Digest TokenSet::digest(std::string_view token) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data());
  return digest;
}

absl::StatusOr<TokenSet> TokenSet::read(const std::string& path) {
  const auto content = read_private_file(path);
  if (!content.ok()) return content.status();
  TokenSet set;
  std::size_t number = 0;
  for (absl::string_view line : absl::StrSplit(*content, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#') continue;
    // The line itself isn't shown: it may be most of a secret.
    if (!is_token({line.data(), line.size()})) {
      return absl::FailedPreconditionError(
          absl::StrCat("token file ", path, ", line ", number, ": a token is one word of printable ASCII"));
    }
    set.digests_.push_back(digest({line.data(), line.size()}));
  }
  if (set.digests_.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("token file ", path, " holds no token: write one a line"));
  }
  return set;
}

bool TokenSet::contains(std::string_view token) const {
  const Digest wanted = digest(token);
  bool found = false;
  // No early end: the time says nothing about which one it was.
  for (const Digest& known : digests_)
    found |= CRYPTO_memcmp(known.data(), wanted.data(), wanted.size()) == 0;
  return found;
}

}  // namespace siprof::collector
