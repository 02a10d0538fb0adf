// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/store_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace siprof::collector::sqlite {

absl::StatusOr<StoreLock> StoreLock::take(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("opening ", path));
  StoreLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return absl::ErrnoToStatus(errno, absl::StrCat("locking ", path));
    char owner[32] = "";
    const ssize_t length = ::read(fd, owner, sizeof owner - 1);
    const std::string pid(absl::StripAsciiWhitespace(absl::string_view(owner, length > 0 ? length : 0)));
    const std::string dir = std::filesystem::path(path).parent_path();
    return absl::FailedPreconditionError(
        absl::StrCat("the store ", dir, " is in use by siprof-collector, pid ", pid.empty() ? "unknown" : pid,
                     ": stop that one or give another --store"));
  }
  // Only for the message above, so a full disk doesn't matter.
  const std::string pid = absl::StrCat(::getpid(), "\n");
  if (::ftruncate(fd, 0) == 0) (void)!::pwrite(fd, pid.data(), pid.size(), 0);
  return lock;
}

StoreLock::~StoreLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace siprof::collector::sqlite
