// SPDX-License-Identifier: Apache-2.0
#include "shim/probe/io_target.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "shim/base/sys.h"
#include "shim/base/text.h"

namespace siprof::shim {
namespace {

// Network order to the host's.
constexpr std::uint16_t host_port(std::uint16_t port) {
  return __builtin_bswap16(port);
}

int socket_option(int fd, int option) {
  int value = 0;
  socklen_t bytes = sizeof(value);
  return sys::call(SYS_getsockopt, fd, SOL_SOCKET, option, &value, &bytes) == 0 ? value : -1;
}

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

// Those of IPv4 and IPv6 alone fit, and count.
bool read_address(long call, int fd, Address* out) {
  socklen_t bytes = sizeof(*out);
  return sys::call(call, fd, out, &bytes) == 0 && bytes >= sizeof(sockaddr_in);
}

void fill_peer(const Address& peer, IoTarget* target) {
  constexpr unsigned char kMapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  target->has_peer = 1;
  if (target->is_ipv6 == 0) {
    target->peer_port = host_port(peer.v4.sin_port);
    copy_bytes(target->peer_address, &peer.v4.sin_addr, 4);
    return;
  }
  target->peer_port = host_port(peer.v6.sin6_port);
  if (same_bytes(&peer.v6.sin6_addr, kMapped, sizeof(kMapped))) {  // IPv4 on a socket for both
    target->is_ipv6 = 0;
    copy_bytes(target->peer_address, peer.v6.sin6_addr.s6_addr + sizeof(kMapped), 4);
    return;
  }
  copy_bytes(target->peer_address, &peer.v6.sin6_addr, 16);
}

void describe_socket(int fd, IoTarget* target) {
  const int family = socket_option(fd, SO_DOMAIN);
  if (family == AF_UNIX) target->kind = IoTargetKind::kUnix;
  if (family != AF_INET && family != AF_INET6) return;
  const int type = socket_option(fd, SO_TYPE);
  target->is_ipv6 = family == AF_INET6 ? 1 : 0;
  if (type == SOCK_DGRAM) target->kind = IoTargetKind::kUdp;
  if (type == SOCK_STREAM)
    target->kind = socket_option(fd, SO_ACCEPTCONN) > 0 ? IoTargetKind::kTcpListen : IoTargetKind::kTcp;
  Address address{};
  if (read_address(SYS_getsockname, fd, &address))
    target->local_port = host_port(address.v4.sin_port);  // at the same place in both
  if (read_address(SYS_getpeername, fd, &address)) fill_peer(address, target);
}

// The kernel's own files have no type, but a name: anon_inode:[eventfd].
IoTargetKind kind_of_anonymous(int fd) {
  char path[40];
  TextBuffer text(path, sizeof(path));
  text.add("/proc/self/fd/").add_number(static_cast<std::uint64_t>(fd));
  char name[40];
  const long bytes = sys::call(SYS_readlinkat, AT_FDCWD, path, name, sizeof(name) - 1);
  if (bytes <= 0) return IoTargetKind::kAnonymous;
  name[bytes] = '\0';
  constexpr struct {
    const char* name;
    IoTargetKind kind;
  } kNames[] = {{"anon_inode:[eventfd]", IoTargetKind::kEventfd},
                {"anon_inode:[timerfd]", IoTargetKind::kTimerfd},
                {"anon_inode:[signalfd]", IoTargetKind::kSignalfd},
                {"anon_inode:[eventpoll]", IoTargetKind::kEpoll},
                {"anon_inode:inotify", IoTargetKind::kInotify}};
  for (const auto& known : kNames) {
    if (equal(name, known.name)) return known.kind;
  }
  return IoTargetKind::kAnonymous;
}

// By the numbers that Documentation/admin-guide/devices.txt gives to terminals and consoles.
bool is_terminal(unsigned major_number) {
  return major_number == 4 || major_number == 5 || (major_number >= 136 && major_number <= 143);
}

}  // namespace

IoTarget describe_descriptor(int fd) {
  IoTarget target{};
  // Not fstat: for the times in its answer NFS would write all that is dirty back, and others ask a server.
  struct statx status;
  if (fd < 0 || sys::call(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) != 0)
    return target;
  switch (status.stx_mode & S_IFMT) {
    case S_IFREG:
      target.kind = IoTargetKind::kFile;
      break;
    case S_IFDIR:
      target.kind = IoTargetKind::kFolder;
      break;
    case S_IFIFO:
      target.kind = IoTargetKind::kPipe;
      break;
    case S_IFCHR:
      target.kind = is_terminal(status.stx_rdev_major) ? IoTargetKind::kTty : IoTargetKind::kDevice;
      break;
    case S_IFBLK:
      target.kind = IoTargetKind::kDevice;
      break;
    case S_IFSOCK:
      target.kind = IoTargetKind::kSocket;
      describe_socket(fd, &target);
      break;
    default:
      target.kind = kind_of_anonymous(fd);
  }
  return target;
}

}  // namespace siprof::shim
