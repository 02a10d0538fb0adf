// SPDX-License-Identifier: Apache-2.0
// A child that attaches to an agent and writes samples as the shim does, told what to
// do over a socket. Made before the agent: its threads must not be there at the fork.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "collector-client/attach/listener.h"
#include "collector-client/base/clock.h"
#include "shim/core/process.h"
#include "shim/core/ring_writer.h"
#include "test/unit/collector-client/attach/attach_message.h"
#include "test/unit/shim/sample_writer.h"

namespace siprof::client {

struct Control {
  std::uint32_t hz;
  std::uint32_t kinds;
  std::uint32_t generation;
  std::uint64_t heartbeat_ns;
};

class FakeProcess {
 public:
  struct Options {
    uid_t uid = geteuid();
    std::uint8_t secret = 1;  // each of its bytes; 0: the process has none
    bool with_pid_fd = true;  // false: as before Linux 5.3
    std::uint32_t kinds = kKindCpu;
    bool attached_before = false;  // to another agent
  };

  explicit FakeProcess(std::string socket_path, Options options)
      : socket_path_(std::move(socket_path)), options_(options) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) abort();
    pid_ = fork();
    if (pid_ == 0) {
      close(pair[0]);
      if (options_.uid != geteuid() && setuid(options_.uid) != 0) _exit(1);
      obey(pair[1]);
      _exit(0);
    }
    close(pair[1]);
    orders_.reset(pair[0]);
  }
  explicit FakeProcess(std::string socket_path) : FakeProcess(std::move(socket_path), Options()) {}
  ~FakeProcess() { kill_now(); }
  FakeProcess(const FakeProcess&) = delete;
  FakeProcess& operator=(const FakeProcess&) = delete;

  pid_t pid() const { return pid_; }
  // Each returns when it is done. False: it failed there.
  bool attach() { return order('a', 0); }
  bool write(std::uint32_t samples) { return order('w', samples); }
  // Uses as much CPU time as this.
  bool burn(std::uint32_t ms) { return order('b', ms); }
  Control control() {
    Control control{};
    if (!order('c', 0) || recv(orders_.get(), &control, sizeof(control), 0) != sizeof(control)) abort();
    return control;
  }
  // The message it would attach with, for somebody else to hand over.
  RawMessage message() {
    if (!order('m', 0)) abort();
    for (;;) {
      absl::StatusOr<RawMessage> raw = receive_message(orders_.get());
      if (raw.ok()) return *std::move(raw);
    }
  }
  void exit() {
    order('x', 0);
    reap();
  }
  // Ended, and reaped by ~FakeProcess only.
  void become_zombie() {
    kill(pid_, SIGKILL);
    siginfo_t ended{};
    waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOWAIT);
  }
  void kill_now() {
    if (pid_ > 0) kill(pid_, SIGKILL);
    reap();
  }

 private:
  struct Order {
    char what;
    std::uint32_t count;
  };

  bool order(char what, std::uint32_t count) {
    const Order order{what, count};
    char done = 0;
    send(orders_.get(), &order, sizeof(order), MSG_NOSIGNAL);
    return recv(orders_.get(), &done, 1, 0) == 1 && done == 1;
  }
  void reap() {
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

  // All below runs in the child.
  void obey(int orders) {
    Order order{};
    while (recv(orders, &order, sizeof(order), 0) == sizeof(order)) {
      char done = 1;
      if (order.what == 'a') done = attach_to_agent();
      if (order.what == 'w') done = write_samples(order.count);
      if (order.what == 'b') burn_now(order.count);
      if (order.what == 'x') break;
      send(orders, &done, 1, 0);
      if (order.what == 'c') send_control(orders);
      if (order.what == 'm' && !send_message(orders, make_message()).ok()) _exit(1);
    }
  }

  // As after an agent's death: new memory at the old address.
  UniqueFd make_memory() {
    constexpr std::size_t kBytes = kSharedHeaderBytes + std::size_t{kInitialChunks} * kChunkBytes;
    UniqueFd fd(memfd_create("siprof", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (ftruncate(fd.get(), kBytes) != 0 || fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) _exit(1);
    const int flags = MAP_SHARED | (header_ != nullptr ? MAP_FIXED : 0);
    header_ = static_cast<SharedHeader*>(mmap(header_, kBytes, PROT_READ | PROT_WRITE, flags, fd.get(), 0));
    header_->magic = kSharedMemoryMagic;
    header_->version = kSharedMemoryVersion;
    header_->max_chunks = kInitialChunks;
    header_->session = ++session_;
    header_->chunk_count = kInitialChunks;
    shim::g_process.max_chunks = kInitialChunks;
    return fd;
  }

  RawMessage make_message() {
    // After setuid a process may not look into itself: then it goes without.
    const std::pair<AttachDescriptor, int> opened[] = {
        {kPidFd, static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0))},
        {kProcFd, open("/proc/self/", O_PATH | O_DIRECTORY | O_CLOEXEC)},
        {kRootFd, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)},
        {kMapsFd, open("/proc/self/maps", O_RDONLY | O_CLOEXEC)}};
    std::uint32_t bits = kMemoryFd;
    std::vector<UniqueFd> fds;
    fds.push_back(make_memory());
    for (const auto& [bit, fd] : opened) {
      if (fd < 0 || (bit == kPidFd && !options_.with_pid_fd)) continue;
      bits |= bit;
      fds.emplace_back(fd);
    }
    AttachMessage message = attach_header(bits);
    message.maps_are_live = 1;
    message.rates.kinds = options_.kinds;
    message.attached_before = options_.attached_before ? 1 : 0;
    message.session = session_;
    memset(message.secret, options_.secret, sizeof(message.secret));
    return raw_message(message, std::move(fds));
  }

  static void burn_now(std::uint32_t ms) {
    const std::uint64_t end = cpu_time_ns(CLOCK_PROCESS_CPUTIME_ID) + std::uint64_t{ms} * 1'000'000;
    while (cpu_time_ns(CLOCK_PROCESS_CPUTIME_ID) < end) continue;
  }

  bool attach_to_agent() {
    const RawMessage message = make_message();
    const auto agent = connect_to_agent(socket_path_);
    return agent.ok() && send_message(agent->get(), message).ok();
  }

  bool write_samples(std::uint32_t count) {
    if (header_ == nullptr) return false;
    thread_.tid = getpid();
    thread_.serial = 1;
    shim::RingWriter writer(header_, session_, thread_);
    const auto wait = [] { return usleep(1000) == 0; };
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!shim::write_sample(writer, thread_, 64, wait)) return false;
      header_->counters[static_cast<std::uint32_t>(Counter::samples)] += 1;
    }
    return true;
  }

  void send_control(int orders) {
    const Control control{header_->hz, header_->kinds, header_->control_generation, header_->heartbeat_ns};
    send(orders, &control, sizeof(control), 0);
  }

  std::string socket_path_;
  Options options_;
  pid_t pid_ = -1;
  UniqueFd orders_;
  SharedHeader* header_ = nullptr;
  std::uint64_t session_ = 0;
  shim::ThreadState thread_{};
};

}  // namespace siprof::client
