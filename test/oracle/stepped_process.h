// SPDX-License-Identifier: Apache-2.0
// A program under ptrace: runs for a while, stops, goes on instruction by instruction, with all its
// signals and system calls. Only the leader is traced; threads and children run free.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace siprof::oracle {

class SteppedProcess {
 public:
  // Stopped at its first instruction, the loader's. Errors: what the kernel says.
  static absl::StatusOr<SteppedProcess> start(const std::vector<std::string>& command);
  ~SteppedProcess();
  SteppedProcess(SteppedProcess&& from) noexcept;
  SteppedProcess(const SteppedProcess&) = delete;
  SteppedProcess& operator=(const SteppedProcess&) = delete;

  // False: the program is over, or alarm(2) came.
  bool run_for(unsigned microseconds);
  bool step();

  bool registers(user_regs_struct* registers) const;
  // As many bytes from `address` on as can be read.
  std::size_t read(std::uint64_t address, std::span<std::byte> into) const;
  std::string maps() const;
  // Since the last call: another program is executed.
  bool take_exec();

 private:
  explicit SteppedProcess(pid_t pid) : pid_(pid) {}
  bool wait(int flags = 0);
  bool resume(int request);

  pid_t pid_ = -1;
  int status_ = 0;
  int signal_ = 0;  // stopped on its delivery: to be passed on
  bool executed_ = false;
};

}  // namespace siprof::oracle
