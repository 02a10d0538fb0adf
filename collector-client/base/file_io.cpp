// SPDX-License-Identifier: Apache-2.0
// Whole-file reads and atomic writes on plain system calls.
#include "collector-client/base/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "collector-client/base/text.h"
#include "collector-client/base/unique_fd.h"

namespace siprof::client {
namespace {

absl::Status write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error(errno, "cannot write", path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status system_error(int error_number, std::string_view what, std::string_view path) {
  if (error_number == ENOSPC || error_number == EDQUOT) {
    return absl::ResourceExhaustedError(
        absl::StrCat(to_absl(what), " ", to_absl(path), ": the disk is full"));
  }
  return absl::ErrnoToStatus(error_number, absl::StrCat(to_absl(what), " ", to_absl(path)));
}

absl::Status write_file_atomically(const std::string& path, std::string_view bytes) {
  const std::string temporary = absl::StrCat(path, ".", ::getpid(), ".tmp");
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return system_error(errno, "cannot create", temporary);
  absl::Status status = write_all(fd.get(), bytes, temporary);
  // close reports what a network file system or a quota found out late.
  if (::close(fd.release()) != 0 && status.ok()) status = system_error(errno, "cannot write", temporary);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) {
    status = system_error(errno, "cannot replace", path);
  }
  if (!status.ok()) ::unlink(temporary.c_str());
  return status;
}

absl::StatusOr<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return system_error(errno, "cannot open", path);
  std::string bytes;
  for (;;) {
    const std::size_t have = bytes.size();
    if (have > max_bytes) {
      return absl::ResourceExhaustedError(absl::StrCat(path, " has more than ", max_bytes, " bytes"));
    }
    bytes.resize(std::min(max_bytes + 1, std::max<std::size_t>(have * 2, 16384)));
    const ssize_t got = ::read(fd.get(), bytes.data() + have, bytes.size() - have);
    bytes.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno != EINTR) return system_error(errno, "cannot read", path);
    if (got == 0) return bytes;
  }
}

absl::Status make_folders(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string folder = path.substr(0, slash);
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
      return system_error(errno, "cannot create", folder);
    }
    if (slash == std::string::npos) break;
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return system_error(errno, "cannot open", path);
  if (!S_ISDIR(info.st_mode)) return absl::FailedPreconditionError(absl::StrCat(path, " is not a folder"));
  return absl::OkStatus();
}

}  // namespace siprof::client
