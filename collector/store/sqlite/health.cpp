// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/health.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace siprof::collector::sqlite {
namespace {

constexpr absl::Duration kBetweenTries = absl::Seconds(1);
// What a batch and its write-ahead log need at least.
constexpr std::size_t kTryBytes = 1u << 20;

}  // namespace

absl::Status Health::ready() const {
  const std::lock_guard lock(mutex_);
  if (status_.ok() || absl::Now() - tried_ < kBetweenTries) return status_;
  tried_ = absl::Now();
  if (try_folder().ok()) status_ = absl::OkStatus();
  return status_;
}

void Health::failed(const absl::Status& why) {
  const std::lock_guard lock(mutex_);
  status_ = why;
  tried_ = absl::Now();
}

void Health::succeeded() {
  const std::lock_guard lock(mutex_);
  status_ = absl::OkStatus();
}

absl::Status Health::try_folder() const {
  const std::string path = dir_ + "/room";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("creating ", path));
  const std::string bytes(kTryBytes, '\0');
  const ssize_t written = ::write(fd, bytes.data(), bytes.size());
  const bool whole = written == static_cast<ssize_t>(bytes.size()) && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  ::unlink(path.c_str());
  return whole ? absl::OkStatus() : absl::ErrnoToStatus(error, absl::StrCat("writing ", path));
}

}  // namespace siprof::collector::sqlite
