// SPDX-License-Identifier: Apache-2.0
// The agent's side of the symbol worker: starts it when it is needed, asks it, ends it when it
// takes too long. One thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "collector-client/symbolize/file_opener.h"
#include "collector-client/symbolize/worker_protocol.h"

namespace siprof::client {

class WorkerClient {
 public:
  struct Options {
    std::string program;
    std::uint64_t memory_bytes = 0;
    absl::Duration timeout;  // of one request
  };
  explicit WorkerClient(Options options) : options_(std::move(options)) {}
  ~WorkerClient() { stop(); }
  WorkerClient(const WorkerClient&) = delete;
  WorkerClient& operator=(const WorkerClient&) = delete;

  // Errors: the worker died, took too long or answered nonsense. It is gone then; the next
  // request starts a new one.
  absl::StatusOr<FileDescription> describe(int file, bool want_crc);
  absl::StatusOr<NamedFrames> symbolize(const WorkerRequest& request, const std::vector<int>& files);

  // Ends the worker; nothing is lost but what it has open.
  void stop();

  pid_t pid() const { return pid_; }  // 0: none runs
  std::uint64_t starts() const { return starts_; }
  std::uint64_t failures() const { return failures_; }

 private:
  absl::Status start();
  absl::StatusOr<std::string> ask(const std::string& request, const std::vector<int>& files);
  absl::Status failed(absl::Status why);

  Options options_;
  UniqueFd socket_;
  pid_t pid_ = 0;
  std::uint64_t starts_ = 0;
  std::uint64_t failures_ = 0;
};

}  // namespace siprof::client
