// SPDX-License-Identifier: Apache-2.0
// Keeps a second collector out of a store: an flock(2) on DIR/lock, which the
// kernel drops when the process ends, however it ends.
#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace siprof::collector::sqlite {

class StoreLock {
 public:
  // Errors: FAILED_PRECONDITION while another process has it, with its pid.
  static absl::StatusOr<StoreLock> take(const std::string& path);

  StoreLock(StoreLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  StoreLock& operator=(StoreLock&&) = delete;
  ~StoreLock();

 private:
  explicit StoreLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace siprof::collector::sqlite
