// SPDX-License-Identifier: Apache-2.0
// See worker_client.h.
#include "collector-client/symbolize/worker_client.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "collector-client/symbolize/message_socket.h"
#include "collector-client/symbolize/worker.h"

namespace siprof::client {
namespace {

std::uint64_t nanoseconds(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_usec) * 1000;
}

// What posix_spawn does in the child before exec.
class SpawnActions {
 public:
  explicit SpawnActions(int socket) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_adddup2(&actions_, socket, 0);
    posix_spawn_file_actions_addopen(&actions_, 1, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes_);
    // The agent may block or ignore signals; the worker starts clean.
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnActions() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

absl::Status WorkerClient::start() {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return absl::ErrnoToStatus(errno, "socketpair");
  UniqueFd ours(pair[0]);
  const UniqueFd theirs(pair[1]);
  std::string program = "siprof";
  std::string argument = kWorkerArgument;
  std::string memory = absl::StrCat(options_.memory_bytes);
  char* arguments[] = {program.data(), argument.data(), memory.data(), nullptr};
  char* environment[] = {nullptr};  // above all no LD_PRELOAD
  const SpawnActions spawn(theirs.get());
  const int error = posix_spawn(&pid_, options_.program.c_str(), spawn.actions(), spawn.attributes(),
                                arguments, environment);
  if (error != 0) {
    pid_ = 0;
    return absl::ErrnoToStatus(error, absl::StrCat("cannot start ", options_.program));
  }
  set_socket(std::move(ours));
  ++starts_;
  return absl::OkStatus();
}

void WorkerClient::set_socket(UniqueFd socket) {
  const std::lock_guard lock(socket_mutex_);
  socket_ = std::move(socket);
}

void WorkerClient::give_up() {
  gave_up_.store(true, std::memory_order_relaxed);  // the lock orders it against a start
  const std::lock_guard lock(socket_mutex_);
  if (socket_) shutdown(socket_.get(), SHUT_RDWR);
}

void WorkerClient::stop() {
  set_socket(UniqueFd());
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  rusage used{};
  while (wait4(pid_, nullptr, 0, &used) < 0 && errno == EINTR) {
  }
  ended_cpu_ns_ += nanoseconds(used.ru_utime) + nanoseconds(used.ru_stime);
  pid_ = 0;
}

std::uint64_t WorkerClient::cpu_ns() const {
  clockid_t clock{};
  timespec used{};
  if (pid_ == 0 || clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &used) != 0)
    return ended_cpu_ns_;
  return ended_cpu_ns_ + static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(used.tv_nsec);
}

absl::Status WorkerClient::failed(absl::Status why) {
  ++failures_;
  timeouts_ += absl::IsDeadlineExceeded(why);
  stop();
  return why;
}

absl::StatusOr<std::string> WorkerClient::ask(const std::string& request, const std::vector<int>& files) {
  if (pid_ == 0) {
    const absl::Status started = start();
    if (!started.ok()) return failed(started);
  }
  if (gave_up_.load(std::memory_order_relaxed)) return failed(absl::CancelledError("no time for names"));
  const absl::Time deadline = absl::Now() + options_.timeout;
  const absl::Status sent = send_message(socket_.get(), request, files, deadline);
  if (!sent.ok()) return failed(sent);
  absl::StatusOr<Message> answer = receive_message(socket_.get(), deadline);
  if (!answer.ok()) return failed(answer.status());
  return std::move(answer->bytes);
}

absl::StatusOr<FileDescription> WorkerClient::describe(int file, bool want_crc) {
  WorkerRequest request;
  request.task = WorkerTask::kDescribe;
  request.want_crc = want_crc;
  request.has_file = true;
  absl::StatusOr<std::string> answer = ask(encode(request), {file});
  if (!answer.ok()) return answer.status();
  std::optional<FileDescription> description = decode_description(*answer);
  if (!description) return failed(absl::DataLossError("the symbol worker's answer makes no sense"));
  return *std::move(description);
}

absl::StatusOr<NamedFrames> WorkerClient::symbolize(const WorkerRequest& request,
                                                    const std::vector<int>& files) {
  absl::StatusOr<std::string> answer = ask(encode(request), files);
  if (!answer.ok()) return answer.status();
  std::optional<NamedFrames> frames = decode_frames(*answer);
  if (!frames || frames->size() != request.addresses.size()) {
    return failed(absl::DataLossError("the symbol worker's answer makes no sense"));
  }
  return *std::move(frames);
}

}  // namespace siprof::client
