// SPDX-License-Identifier: Apache-2.0
// Whether the store takes writes, told by the writer, asked by /readyz and by
// ingest (which stops reading from agents meanwhile).
#pragma once

#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace siprof::collector::sqlite {

class Health {
 public:
  explicit Health(std::string dir) : dir_(std::move(dir)) {}

  // Any thread. After a failure nobody may write any more, so this tries once a
  // second by itself whether the folder takes a file again.
  absl::Status ready() const;

  // Context: the writer. Errors other than these of the engine (a bad profile) don't count.
  void failed(const absl::Status& why);
  void succeeded();

 private:
  absl::Status try_folder() const;

  const std::string dir_;
  mutable std::mutex mutex_;
  mutable absl::Status status_;
  mutable absl::Time tried_ = absl::InfinitePast();
};

}  // namespace siprof::collector::sqlite
