// SPDX-License-Identifier: Apache-2.0
#include "shim/core/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/stat.h>

#include "shim/base/sys.h"
#include "shim/base/text.h"

namespace siprof::shim {
namespace {

SIPROF_SIGNAL_SAFE void add_descriptor(Handover* handover, AttachDescriptor what, long fd) {
  if (fd < 0) return;
  handover->descriptors |= what;
  handover->fds[handover->fd_count++] = static_cast<int>(fd);
}

// The app is our parent, but not by getppid(): /proc may be mounted for another pid
// namespace (unshare without a mount of its own), where that number is another process.
// In "pid (name) state ppid" the name may be anything up to the last parenthesis.
SIPROF_SIGNAL_SAFE std::int32_t parent_in_proc(const char* stat_path) {
  char text[256];
  const long fd = sys::call(SYS_openat, AT_FDCWD, stat_path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return 0;
  const long got = sys::call(SYS_read, fd, text, sizeof(text) - 1);
  sys::call(SYS_close, fd);
  if (got <= 0) return 0;
  text[got] = '\0';
  const char* at = text + got;
  while (at > text && *at != ')') --at;
  std::int32_t pid = 0;
  if (starts_with(at, ") ") && at[2] != '\0' && at[3] == ' ') at += 4;
  for (; *at >= '0' && *at <= '9'; ++at) pid = pid * 10 + (*at - '0');
  return pid;
}

SIPROF_SIGNAL_SAFE TextBuffer& proc_path(TextBuffer& path, std::int32_t pid, const char* file) {
  return path.add("/proc/").add_number(static_cast<std::uint64_t>(pid)).add("/").add(file);
}

SIPROF_SIGNAL_SAFE long open_in_proc(std::int32_t pid, const char* file, int flags) {
  if (pid == 0) return -ENOENT;
  char text[64];
  TextBuffer path(text, sizeof(text));
  return sys::call(SYS_openat, AT_FDCWD, proc_path(path, pid, file).c_str(), flags | O_CLOEXEC, 0);
}

struct Root {
  std::uint64_t device;
  std::uint64_t inode;
  bool known;
};
// Under the attach lock. The app's memory: this process shares it.
constinit Root g_first_root{};

SIPROF_SIGNAL_SAFE Root root_at(const char* path) {
  struct stat status;
  if (sys::call(SYS_newfstatat, AT_FDCWD, path, &status, 0) != 0) return {};
  return {status.st_dev, status.st_ino, true};
}

SIPROF_SIGNAL_SAFE bool same(const Root& a, const Root& b) {
  return a.device == b.device && a.inode == b.inode;
}

// Of a root process that has changed its root, others' differ: its parent's and pid 1's.
SIPROF_SIGNAL_SAFE bool others_have_root(const Root& root, std::int32_t app) {
  if (app == 0) return false;  // no /proc, as in a jail
  char text[64];
  TextBuffer stat_path(text, sizeof(text));
  const std::int32_t others[] = {parent_in_proc(proc_path(stat_path, app, "stat").c_str()), 1};
  bool other_seen = false;
  for (const std::int32_t pid : others) {
    if (pid == 0 || pid == app) continue;
    TextBuffer root_path(text, sizeof(text));
    const Root other = root_at(proc_path(root_path, pid, "root").c_str());
    if (other.known && same(root, other)) return true;
    other_seen = other_seen || other.known;
  }
  return !other_seen;  // pid 1 of a container: it attached when it started
}

// Where the process may not be looked into (it changed its user), its mappings are
// copied once: ours to read, because they are our own.
SIPROF_SIGNAL_SAFE long copy_of_maps() {
  const long from = sys::call(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
  if (from < 0) return from;
  const long to = sys::call(SYS_memfd_create, "siprof-maps", MFD_CLOEXEC);
  if (to < 0) return to;
  char buffer[4096];
  for (long got = 0; (got = sys::call(SYS_read, from, buffer, sizeof(buffer))) > 0;)
    sys::call(SYS_write, to, buffer, got);
  return to;
}

}  // namespace

void open_all(long memory_fd, Handover* handover) {
  constexpr int kPidfdOpen = 434;  // since Linux 5.3
  const std::int32_t pid = parent_in_proc("/proc/self/stat");
  handover->proc_pid = pid;
  add_descriptor(handover, kMemoryFd, memory_fd);
  add_descriptor(handover, kPidFd, sys::call(kPidfdOpen, sys::call(SYS_getppid), 0));
  add_descriptor(handover, kProcFd, open_in_proc(pid, "", O_PATH | O_DIRECTORY));
  add_descriptor(handover, kRootFd,
                 sys::call(SYS_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
  long maps = open_in_proc(pid, "maps", O_RDONLY);
  handover->maps_are_live = maps >= 0;
  if (maps < 0 && !handover->maps.complete) maps = copy_of_maps();
  add_descriptor(handover, kMapsFd, maps);
}

bool root_is_trusted(const Handover& handover) {
  const Root root = root_at("/");
  if (!root.known) return false;
  if (g_first_root.known) return same(root, g_first_root);
  // Only root may chroot, and only for root it matters whose file is executed.
  if (sys::call(SYS_geteuid) == 0 && !others_have_root(root, handover.proc_pid)) return false;
  g_first_root = root;
  return true;
}

void scan_threads(const Handover& handover, AttachRequest* request) {
  // Thread ids of another namespace would be no use for timers.
  if (handover.proc_pid != sys::call(SYS_getppid)) return;
  struct Entry {  // linux_dirent64
    std::uint64_t inode;
    std::int64_t next;
    std::uint16_t bytes;
    std::uint8_t type;
    char name[1];
  };
  const long fd = open_in_proc(handover.proc_pid, "task", O_RDONLY | O_DIRECTORY);
  if (fd < 0) return;
  alignas(8) char buffer[4096];
  for (;;) {
    const long got = sys::call(SYS_getdents64, fd, buffer, sizeof(buffer));
    if (got <= 0) break;
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
      at += entry->bytes;
      std::int32_t tid = 0;
      for (const char* digit = entry->name; *digit >= '0' && *digit <= '9'; ++digit)
        tid = tid * 10 + (*digit - '0');
      if (tid > 0 && request->thread_count < kMaxScannedThreads)
        request->threads[request->thread_count++] = tid;
    }
  }
}

}  // namespace siprof::shim
