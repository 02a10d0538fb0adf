// SPDX-License-Identifier: Apache-2.0
#include "collector-client/attach/process_view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "collector-client/base/file_io.h"
#include "collector-client/base/text.h"

namespace siprof::client {
namespace {

constexpr std::size_t kMostMapsBytes = 64u << 20;
constexpr std::size_t kMostProcBytes = 1u << 20;

// Of stat(5), counted from behind the name.
constexpr std::size_t kStatState = 0;
constexpr std::size_t kStatUserTicks = 11;
constexpr std::size_t kStatSystemTicks = 12;
constexpr std::size_t kStatThreads = 17;

// Opens below a process's root, so that its absolute links don't lead out of it.
class RootedOpener : public FileOpener {
 public:
  explicit RootedOpener(UniqueFd root) : root_(std::move(root)) {}

  absl::StatusOr<int> open(const std::string& path, std::uint64_t, std::uint64_t) override {
    // O_NONBLOCK: a FIFO of that name must not stop us.
    const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    UniqueFd fd(open_below(path, flags));
    if (!fd) return system_error(errno, "cannot open", path);
    struct stat file {};
    if (fstat(fd.get(), &file) != 0) return system_error(errno, "cannot look at", path);
    if (!S_ISREG(file.st_mode)) return absl::InvalidArgumentError(path + " is not a regular file");
    return fd.release();
  }

 private:
  int open_below(const std::string& path, int flags) const {
    if (!root_) return ::open(path.c_str(), flags);
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags);
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const long fd = syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof(how));
    if (fd >= 0 || errno != ENOSYS) return static_cast<int>(fd);
    // Before Linux 5.6: links within the path may lead out of a container's root; the
    // caller compares the inode before it believes the file.
    return openat(root_.get(), path.c_str() + (path.starts_with("/") ? 1 : 0), flags);
  }

  UniqueFd root_;
};

std::string read_all(int fd, std::size_t most) {
  std::string out;
  // Most files of /proc have some hundred bytes.
  for (std::size_t room = 1024; out.size() < most; room = std::min<std::size_t>(room * 4, 256 * 1024)) {
    const std::size_t before = out.size();
    out.resize(std::min(before + room, most));
    const ssize_t got = read(fd, out.data() + before, out.size() - before);
    out.resize(before + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got <= 0) break;
  }
  return out;
}

bool is_on(const UniqueFd& fd, std::initializer_list<long> file_systems) {
  struct statfs where {};
  if (!fd || fstatfs(fd.get(), &where) != 0) return false;
  return std::find(file_systems.begin(), file_systems.end(), static_cast<long>(where.f_type)) !=
         file_systems.end();
}

// Anything else would never tell of an end. A pidfd of another namespace gives other errors.
bool is_pid_fd(const UniqueFd& fd) {
  constexpr long kPidfdSendSignal = 424;  // since Linux 5.1, pidfd_open since 5.3
  return fd && (syscall(kPidfdSendSignal, fd.get(), 0, nullptr, 0) == 0 || errno != EBADF);
}

// A process may hand over anything. Elsewhere than in /proc a read could wait for ever
// (FIFO, eventfd), and with it all other processes; the copy of its mappings is a memfd.
AttachRequest without_strangers(AttachRequest request) {
  if (!is_pid_fd(request.pid)) request.pid.reset();
  if (!is_on(request.proc, {PROC_SUPER_MAGIC})) request.proc.reset();
  if (!is_on(request.maps, {PROC_SUPER_MAGIC, TMPFS_MAGIC})) request.maps.reset();
  return request;
}

std::string host_name() {
  utsname names{};
  return uname(&names) == 0 ? names.nodename : "";
}

}  // namespace

ProcessView::ProcessView(AttachRequest request)
    : request_(without_strangers(std::move(request))),
      opener_(std::make_shared<RootedOpener>(std::move(request_.root))) {}

bool ProcessView::is_alive() const {
  if (request_.pid) {
    pollfd ended{request_.pid.get(), POLLIN, 0};
    return poll(&ended, 1, 0) == 0;
  }
  // The directory of a process that was reaped can't be looked into. One that ended and isn't
  // reaped can: it is a zombie, as is a main thread that left the others running.
  const std::vector<std::string> fields = stat_fields();
  if (fields.size() <= kStatThreads) return false;
  const std::string& state = fields[kStatState];
  return (state != "Z" && state != "X") || fields[kStatThreads] != "1";
}

// Of stat(5) what comes after the name in parentheses; empty: not to be seen.
std::vector<std::string> ProcessView::stat_fields() const {
  const std::string text = read_proc("stat", 4096);
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos || text.size() < name_end + 2) return {};
  const std::vector<std::string_view> fields = split(std::string_view(text).substr(name_end + 2), ' ');
  return {fields.begin(), fields.end()};
}

std::string ProcessView::read_proc(const std::string& file, std::size_t most) const {
  if (!request_.proc) return "";
  const UniqueFd fd(openat(request_.proc.get(), file.c_str(), O_RDONLY | O_CLOEXEC));
  return fd ? read_all(fd.get(), most) : "";
}

std::string ProcessView::read_maps() const {
  if (!request_.maps || lseek(request_.maps.get(), 0, SEEK_SET) != 0) return "";
  return read_all(request_.maps.get(), kMostMapsBytes);
}

std::optional<bool> ProcessView::has_thread(std::uint32_t tid) const {
  if (!request_.proc) return std::nullopt;
  const std::string path = "task/" + std::to_string(tid);
  if (faccessat(request_.proc.get(), path.c_str(), F_OK, 0) == 0) return true;
  if (errno != ENOENT) return std::nullopt;
  // In the folder of a process that was reaped there is nothing at all.
  if (faccessat(request_.proc.get(), "task", F_OK, 0) != 0) return std::nullopt;
  return false;
}

std::string ProcessView::thread_name(std::uint32_t tid) const {
  const std::string text = read_proc("task/" + std::to_string(tid) + "/comm", 64);
  return std::string(trim(text));
}

std::optional<std::uint64_t> ProcessView::cpu_time_ns() const {
  const std::vector<std::string> fields = stat_fields();
  if (fields.size() <= kStatSystemTicks) return std::nullopt;
  const std::uint64_t ticks = strtoull(fields[kStatUserTicks].c_str(), nullptr, 10) +
                              strtoull(fields[kStatSystemTicks].c_str(), nullptr, 10);
  static const auto ticks_per_second = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
  return ticks * (1'000'000'000 / ticks_per_second);
}

bool ProcessView::same_process(const ProcessView& other) const {
  struct stat one {};
  struct stat two {};
  // procfs gives a process's directory one inode as long as it lives.
  if (request_.proc && other.request_.proc && fstat(request_.proc.get(), &one) == 0 &&
      fstat(other.request_.proc.get(), &two) == 0) {
    return one.st_dev == two.st_dev && one.st_ino == two.st_ino;
  }
  return message().pid == other.message().pid && message().uid == other.message().uid;
}

ProcessFacts ProcessView::facts() const {
  ProcessFacts facts;
  facts.environment = request_.environment;
  facts.executable = request_.executable;
  facts.arguments = request_.arguments;
  facts.host_name = host_name();
  facts.cgroup = read_proc("cgroup", kMostProcBytes);
  facts.mountinfo = read_proc("mountinfo", kMostProcBytes);
  return facts;
}

}  // namespace siprof::client
