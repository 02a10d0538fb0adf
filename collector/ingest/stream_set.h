// SPDX-License-Identifier: Apache-2.0
// All live streams: the bound on their number, and who gets a new configuration. Any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <unordered_set>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace siprof::collector {

class AgentStream;

class StreamSet {
 public:
  explicit StreamSet(std::size_t most) : most_(most) {}

  // False when there are too many already, or after close().
  bool add(const std::shared_ptr<AgentStream>& stream) {
    absl::MutexLock lock(&mutex_);
    if (closed_ || streams_.size() >= most_) return false;
    streams_.insert(stream);
    return true;
  }
  void remove(const std::shared_ptr<AgentStream>& stream) {
    absl::MutexLock lock(&mutex_);
    streams_.erase(stream);
  }
  // A copy, so that streams are called without the lock: they remove themselves.
  std::vector<std::shared_ptr<AgentStream>> all() const {
    absl::MutexLock lock(&mutex_);
    return {streams_.begin(), streams_.end()};
  }
  void close() {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }

 private:
  const std::size_t most_;
  mutable absl::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::unordered_set<std::shared_ptr<AgentStream>> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace siprof::collector
