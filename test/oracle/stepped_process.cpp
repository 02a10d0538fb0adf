// SPDX-License-Identifier: Apache-2.0
// See stepped_process.h.
#include "test/oracle/stepped_process.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace siprof::oracle {
namespace {

constexpr int kOptions = PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC;

// Waits until it is seized.
[[noreturn]] void become(const std::vector<std::string>& command, const int (&gate)[2]) {
  char byte = 0;
  close(gate[1]);
  while (::read(gate[0], &byte, 1) < 0 && errno == EINTR) continue;
  close(gate[0]);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

}  // namespace

absl::StatusOr<SteppedProcess> SteppedProcess::start(const std::vector<std::string>& command) {
  int gate[2];
  if (pipe(gate) != 0) return absl::ErrnoToStatus(errno, "pipe");
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "fork");
  if (pid == 0) become(command, gate);
  setpgid(pid, pid);  // its children end with it
  SteppedProcess process(pid);
  close(gate[0]);
  const bool seized = ptrace(PTRACE_SEIZE, pid, 0, kOptions) == 0;
  const absl::Status status = absl::ErrnoToStatus(seized ? 0 : errno, "PTRACE_SEIZE");
  close(gate[1]);
  if (!seized) return status;
  while (process.wait() && !process.executed_)
    if (!process.resume(PTRACE_CONT)) break;
  if (!process.executed_) return absl::NotFoundError(absl::StrCat("cannot start ", command[0]));
  return process;
}

SteppedProcess::~SteppedProcess() {
  if (pid_ < 0) return;
  kill(-pid_, SIGKILL);
  kill(pid_, SIGKILL);
  while (waitpid(pid_, &status_, __WALL) >= 0 && !WIFEXITED(status_) && !WIFSIGNALED(status_)) continue;
}

SteppedProcess::SteppedProcess(SteppedProcess&& from) noexcept
    : pid_(std::exchange(from.pid_, -1)),
      status_(from.status_),
      signal_(from.signal_),
      executed_(from.executed_) {}

// Until it stops. False: it never will, alarm(2) came, or it runs and WNOHANG was among the flags.
bool SteppedProcess::wait(int flags) {
  status_ = 0;
  if (waitpid(pid_, &status_, __WALL | flags) <= 0 || !WIFSTOPPED(status_)) return false;
  const int event = status_ >> 16;
  executed_ |= event == PTRACE_EVENT_EXEC;
  signal_ = event == 0 && WSTOPSIG(status_) != SIGTRAP ? WSTOPSIG(status_) : 0;
  return true;
}

bool SteppedProcess::resume(int request) {
  return ptrace(static_cast<__ptrace_request>(request), pid_, 0, std::exchange(signal_, 0)) == 0;
}

bool SteppedProcess::run_for(unsigned microseconds) {
  constexpr unsigned kPauseMicroseconds = 200;  // a signal stops it until it is passed on
  bool runs = resume(PTRACE_CONT);
  for (unsigned ran = 0; runs && ran < microseconds; ran += kPauseMicroseconds) {
    usleep(kPauseMicroseconds);
    runs = wait(WNOHANG) ? resume(PTRACE_CONT) : status_ == 0;
  }
  if (!runs || ptrace(PTRACE_INTERRUPT, pid_, 0, 0) != 0) return false;
  // What was under way is reported first.
  while (wait()) {
    if (status_ >> 16 == PTRACE_EVENT_STOP) return true;
    if (!resume(PTRACE_CONT)) return false;
  }
  return false;
}

// A handler is entered by passing the signal on: the next stop is its first instruction.
bool SteppedProcess::step() {
  do {
    if (!resume(PTRACE_SINGLESTEP) || !wait()) return false;
  } while (signal_ != 0);
  return true;
}

bool SteppedProcess::registers(user_regs_struct* registers) const {
  return ptrace(PTRACE_GETREGS, pid_, 0, registers) == 0;
}

std::size_t SteppedProcess::read(std::uint64_t address, std::span<std::byte> into) const {
  const iovec here{into.data(), into.size()};
  const iovec there{reinterpret_cast<void*>(address), into.size()};
  const ssize_t bytes = process_vm_readv(pid_, &here, 1, &there, 1, 0);
  return bytes < 0 ? 0 : static_cast<std::size_t>(bytes);
}

std::string SteppedProcess::maps() const {
  std::ifstream file(absl::StrCat("/proc/", pid_, "/maps"));
  return {std::istreambuf_iterator<char>(file), {}};
}

bool SteppedProcess::take_exec() {
  return std::exchange(executed_, false);
}

}  // namespace siprof::oracle
