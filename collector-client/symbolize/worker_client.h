// SPDX-License-Identifier: Apache-2.0
// The agent's side of the symbol worker: starts it when it is needed, asks it, ends it when it
// takes too long. One thread, but for give_up().
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <mutex>
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

  // Any thread: a request under way and all later ones fail at once.
  void give_up();

  pid_t pid() const { return pid_; }  // 0: none runs
  // CPU time of all workers so far.
  std::uint64_t cpu_ns() const;
  std::uint64_t starts() const { return starts_; }
  std::uint64_t failures() const { return failures_; }  // died, took too long, couldn't start, …
  std::uint64_t timeouts() const { return timeouts_; }  // of the failures: ended by us

 private:
  absl::Status start();
  absl::StatusOr<std::string> ask(const std::string& request, const std::vector<int>& files);
  absl::Status failed(absl::Status why);
  void set_socket(UniqueFd socket);

  Options options_;
  std::mutex socket_mutex_;  // for give_up(); the owner's thread reads without
  UniqueFd socket_;
  std::atomic<bool> gave_up_{false};
  pid_t pid_ = 0;
  std::uint64_t ended_cpu_ns_ = 0;  // of workers that are gone
  std::uint64_t starts_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t timeouts_ = 0;
};

}  // namespace siprof::client
