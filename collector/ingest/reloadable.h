// SPDX-License-Identifier: Apache-2.0
// A value read from a file and read again when the file changes. A broken new file
// leaves the old value in force. Looked at by the housekeeping thread, used by any.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace siprof::collector {

// What tells one version of a file from another without reading it.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = -1;
  mode_t mode = 0;  // a chmod may be what makes a token file acceptable
  timespec modified{};

  static FileIdentity of(const std::string& path) {
    struct stat info;
    if (stat(path.c_str(), &info) != 0) return {};
    return {info.st_dev, info.st_ino, info.st_size, info.st_mode, info.st_mtim};
  }
  friend bool operator==(const FileIdentity& a, const FileIdentity& b) {
    return a.device == b.device && a.inode == b.inode && a.size == b.size && a.mode == b.mode &&
           a.modified.tv_sec == b.modified.tv_sec && a.modified.tv_nsec == b.modified.tv_nsec;
  }
};

enum class Look { kIfChanged, kAlways };
enum class Reloaded { kUnchanged, kNew };

template <typename Value>
class Reloadable {
 public:
  using Reader = std::function<absl::StatusOr<Value>(const std::string& path)>;

  // Empty path: `value` for ever.
  Reloadable(std::string path, Value value, Reader reader)
      : path_(std::move(path)),
        reader_(std::move(reader)),
        value_(std::make_shared<const Value>(std::move(value))) {}

  // Errors: the reader's, once for each version of the file; the value stays. One thread at a time.
  absl::StatusOr<Reloaded> look(Look when) {
    if (path_.empty()) return Reloaded::kUnchanged;
    // Taken before reading: a change in between shows at the next look.
    const FileIdentity identity = FileIdentity::of(path_);
    if (when == Look::kIfChanged && identity == seen_) return Reloaded::kUnchanged;
    seen_ = identity;
    auto value = reader_(path_);
    if (!value.ok()) return value.status();
    absl::MutexLock lock(&mutex_);
    value_ = std::make_shared<const Value>(*std::move(value));
    return Reloaded::kNew;
  }

  bool has_file() const { return !path_.empty(); }
  std::shared_ptr<const Value> get() const {
    absl::MutexLock lock(&mutex_);
    return value_;
  }

 private:
  const std::string path_;
  const Reader reader_;
  FileIdentity seen_;  // of the looking thread
  mutable absl::Mutex mutex_;
  std::shared_ptr<const Value> value_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace siprof::collector
